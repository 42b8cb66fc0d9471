// SPDX-License-Identifier: Apache-2.0

import Certificates
import CPKCS11
import SystemSupport

/// A return value of a Cryptoki function that is not CKR_OK.
struct CryptokiError: Error, CustomStringConvertible {
    /// The return value.
    let value: CK_RV

    /// The function that returned it.
    let function: StaticString

    /// Its name, or its number when it is not a standard one.
    var name: String { Self.names[value] ?? "CKR 0x\(String(value, radix: 16))" }

    /// The function and the name of the value.
    var description: String { "\(function) failed with \(name)" }

    /// Whether what was open is open no more, so that it is worth opening it again.
    var isLostSession: Bool {
        switch value {
        case CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED, CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT,
            CKR_TOKEN_NOT_RECOGNIZED, CKR_USER_NOT_LOGGED_IN, CKR_CRYPTOKI_NOT_INITIALIZED, CKR_KEY_HANDLE_INVALID,
            CKR_OBJECT_HANDLE_INVALID, CKR_SLOT_ID_INVALID, CKR_OPERATION_ACTIVE, CKR_DEVICE_ERROR:
            true
        default: false
        }
    }

    /// The error for whoever asked.
    ///
    /// - Parameter what: What was being done, as in "the token x cannot sign".
    /// - Returns: The error with the function and the value named.
    func explained(_ what: String) -> HardwareKeyError {
        switch value {
        case CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_TOKEN_NOT_RECOGNIZED, CKR_SLOT_ID_INVALID:
            HardwareKeyError(.absent, "\(what): \(self)", hint: "is the token plugged in?")
        case CKR_MECHANISM_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_KEY_SIZE_RANGE,
            CKR_FUNCTION_NOT_SUPPORTED, CKR_CURVE_NOT_SUPPORTED, CKR_TOKEN_WRITE_PROTECTED, CKR_DATA_LEN_RANGE,
            CKR_MECHANISM_PARAM_INVALID, CKR_DOMAIN_PARAMS_INVALID:
            HardwareKeyError(.unsupported, "\(what): \(self)")
        default: HardwareKeyError(.failed, "\(what): \(self)")
        }
    }
}

/// Throws unless a function succeeded.
func require(_ value: CK_RV, _ function: StaticString) throws(CryptokiError) {
    guard value == CKR_OK else { throw CryptokiError(value: value, function: function) }
}
