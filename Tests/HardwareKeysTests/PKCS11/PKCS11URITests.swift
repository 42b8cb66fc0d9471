// SPDX-License-Identifier: Apache-2.0

import Certificates
import Glibc
import SystemSupport
import Testing

@testable import HardwareKeys

@Suite struct PKCS11URITests {
    @Test(arguments: [
        // The examples of RFC 7512 §3, with the breaks of lines that it says to leave out.
        "pkcs11:", "pkcs11:object=my-pubkey;type=public",
        "pkcs11:object=my-key;type=private?pin-source=file:/etc/token",
        "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;"
            + "object=my-certificate;type=cert;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin",
        "pkcs11:object=my-sign-key;type=private?module-name=mypkcs11",
        "pkcs11:object=my-sign-key;type=private?module-path=/mnt/libmypkcs11.so.1",
        "pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc.?pin-value=the-pin",
        "pkcs11:slot-description=Sun%20Metaslot",
        "pkcs11:library-manufacturer=Snake%20Oil,%20Inc.;library-description=Soft%20Token%20Library;"
            + "library-version=1.23",
        "pkcs11:token=My%20token%25%20created%20by%20Joe;library-version=3;id=%01%02%03%Ba%dd%Ca%fe%04%05%06",
        "pkcs11:token=A%20name%20with%20a%20substring%20%25%3B;object=my-certificate;type=cert",
        "pkcs11:token=Name%20with%20a%20small%20A%20with%20acute:%20%C3%A1;object=my-certificate;type=cert",
    ])
    func `the examples of the RFC are read, and written so that they are read again`(text: String) throws {
        let address = try PKCS11URI(text)
        var again = try PKCS11URI("\(address)")
        again.pinValue = address.pinValue
        #expect(again == address)
    }

    @Test func `every attribute has its place`() throws {
        let path = """
            pkcs11:token=a%3Bb;manufacturer=b;serial=c;model=d;library-manufacturer=e;library-description=f;\
            library-version=2.6;slot-id=0;slot-manufacturer=g;slot-description=h;object=%C3%BC;type=cert;id=%00%ff1
            """
        let address = try PKCS11URI(path + "?module-path=/m.so&module-name=n&pin-source=/p?|&pin-value=1%2634")
        #expect(address.token == "a;b")
        #expect(address.manufacturer == "b")
        #expect(address.serial == "c")
        #expect(address.model == "d")
        #expect(address.libraryManufacturer == "e")
        #expect(address.libraryDescription == "f")
        #expect(address.libraryVersion?.major == 2 && address.libraryVersion?.minor == 6)
        #expect(address.slotIdentifier == 0)
        #expect(address.slotManufacturer == "g")
        #expect(address.slotDescription == "h")
        #expect(address.object == "ü")
        #expect(address.type == .certificate)
        #expect(address.identifier == [0x00, 0xff, 0x31])
        #expect(address.modulePath == "/m.so")
        #expect(address.moduleName == "n")
        #expect(address.pinSource == "/p?|")
        #expect(unsafe address.pinValue?.withUnsafeBytes { unsafe Array($0) } == Array("1&34".utf8))
    }

    @Test func `an attribute without a value is not an absent one`() throws {
        #expect(try PKCS11URI("pkcs11:object=").object?.isEmpty == true)
        #expect(try PKCS11URI("pkcs11:id=").identifier == [])
        #expect(try PKCS11URI("pkcs11:").object == nil)
    }

    @Test func `the order of attributes does not matter, and the PIN does`() throws {
        let address = try PKCS11URI("pkcs11:token=a;object=b?pin-value=1234&module-name=m")
        #expect(try address == PKCS11URI("PKCS11:object=%62;token=a?module-name=m&pin-value=1234"))
        #expect(try address != PKCS11URI("pkcs11:token=a;object=b?pin-value=1235&module-name=m"))
        #expect(try address != PKCS11URI("pkcs11:token=a;object=b?module-name=m"))
        #expect(try address != PKCS11URI("pkcs11:token=a;object=B?pin-value=1234&module-name=m"))
    }

    @Test func `nothing shows the PIN`() throws {
        let address = try PKCS11URI("pkcs11:token=a?pin-value=s3cr3t&pin-source=/run/pin")
        var dumped = ""
        dump(address, to: &dumped)
        for text in ["\(address)", String(reflecting: address), dumped] { #expect(!text.contains("s3cr3t")) }
        #expect("\(address)" == "pkcs11:token=a?pin-source=%2Frun%2Fpin")
    }

    @Test func `what a file may say of a key is the path of its address`() throws {
        #expect(try PKCS11URI("pkcs11:token=ca?module-path=/m.so&pin-source=/p").pathText == "pkcs11:token=ca")
    }

    @Test(.enabled(if: geteuid() == 0)) func `W15: a PIN that somebody else wrote is not read`() throws {
        var template = Array("/tmp/pki-pin-test.XXXXXX".utf8CString)
        let file = unsafe mkstemp(&template)
        let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        defer { unsafe unlink(path) }
        #expect(file >= 0 && writeAll(Array("s3cr3t\n".utf8), to: file) == 0)
        #expect(try pin(inFirstLineOf: path).count == 6)
        #expect(fchown(file, 65_534, 65_534) == 0)
        close(file)
        let error = try #require(throws: HardwareKeyError.self) { try pin(inFirstLineOf: path) }
        #expect(error.code == .pinNeeded && error.message.contains("65534") && !error.message.contains("s3cr3t"))
    }

    @Test(arguments: ["pkcs11:token=a&pin-value=s3cr3t", "pkcs11:object=x&y&pin-value=s3cr3t;token=b"])
    func `a PIN in the place of a label is not taken for one and shown`(text: String) throws {
        let error = try #require(throws: HardwareKeyError.self) { try PKCS11URI(text) }
        #expect(error.message.contains("pin-value") && error.message.contains("before the question mark"))
        #expect(!error.message.contains("s3cr3t"))
        #expect(try PKCS11URI("pkcs11:token=a&b").token == "a&b")
    }

    @Test(arguments: [
        ("file:/run/pin", "/run/pin"), ("file:///run/pin", "/run/pin"), ("file://localhost/run/pin", "/run/pin"),
        ("/run/pin", "/run/pin"), ("pin.txt", "pin.txt"), ("FILE:/run/a%20b", "/run/a b"),
    ])
    func `a source of PINs is a file`(text: String, path: String) throws {
        #expect(try PKCS11URI("pkcs11:?pin-source=\(text)").pinSource == path)
    }

    @Test func `what is unknown behind the question mark is ignored, even twice`() throws {
        let address = try PKCS11URI("pkcs11:token=a?x-vendor=1&x-vendor=%2&pin-value=1234&other=")
        #expect(address.pinValue?.count == 4)
    }

    @Test(arguments: [
        ("pkcs:token=a", "pkcs11:"), ("", "pkcs11:"), ("pkcs11", "pkcs11:"), ("pkcs11:token=a;token=b", "token"),
        ("pkcs11:token=a;", "no ="), ("pkcs11:;token=a", "no ="), ("pkcs11:token", "no ="), ("pkcs11:=a", "name"),
        ("pkcs11:to ken=a", "name"), ("pkcs11:token=a b", "token"), ("pkcs11:token=%", "token"),
        ("pkcs11:token=%4", "token"), ("pkcs11:token=%4g", "token"), ("pkcs11:token=ü", "token"),
        ("pkcs11:token=%ff", "token"), ("pkcs11:token=a%00", "token"), ("pkcs11:object=a/b", "object"),
        ("pkcs11:type=key", "type"), ("pkcs11:type=CERT", "type"), ("pkcs11:slot-id=", "slot-id"),
        ("pkcs11:slot-id=-1", "slot-id"), ("pkcs11:slot-id=+1", "slot-id"), ("pkcs11:slot-id=0x1", "slot-id"),
        ("pkcs11:slot-id=18446744073709551616", "slot-id"), ("pkcs11:library-version=", "library-version"),
        ("pkcs11:library-version=1.", "library-version"), ("pkcs11:library-version=1.2.3", "library-version"),
        ("pkcs11:library-version=256", "library-version"), ("pkcs11:x-vendor=1", "x-vendor"),
        ("pkcs11:pin-value=1234", "pin-value"), ("pkcs11:Token=a", "Token"),
        ("pkcs11:?pin-value=1&pin-value=1", "pin-value"), ("pkcs11:?pin-value=1%", "pin-value"),
        ("pkcs11:?module-path=lib.so", "module-path"), ("pkcs11:?module-name=", "module-name"),
        ("pkcs11:?module-name=..%2Fx", "module-name"), ("pkcs11:?pin-source=", "pin-source"),
        ("pkcs11:?pin-source=file:", "pin-source"), ("pkcs11:?pin-source=file://host/pin", "pin-source"),
    ])
    func `what is wrong is refused by its name`(text: String, name: String) throws {
        let error = try #require(throws: HardwareKeyError.self) { try PKCS11URI(text) }
        #expect(error.code == .invalidAddress)
        #expect(error.message.contains(name))
    }

    @Test func `a command is no source of PINs`() throws {
        let error = try #require(throws: HardwareKeyError.self) { try PKCS11URI("pkcs11:?pin-source=|cat%20pin") }
        #expect(error.code == .unsupported)
        #expect(error.message.contains("pin-source"))
    }

    @Test(arguments: ["pkcs11:?pin-value=s3cr3t%", "pkcs11:?pin-value=s3cr3t&pin-value=s3cr3t", "pkcs11:?s3cr3t"])
    func `an error does not repeat the PIN`(text: String) throws {
        let error = try #require(throws: HardwareKeyError.self) { try PKCS11URI(text) }
        #expect(!"\(error.message) \(error.hint ?? "")".contains("s3cr3t"))
    }
}
