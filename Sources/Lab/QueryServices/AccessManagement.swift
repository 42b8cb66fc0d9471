// SPDX-License-Identifier: Apache-2.0

import HTTPService

/// The little of IAM that the road to a session needs: roles and their policies.
///
/// Source: AWS, *IAM API Reference*, version 2010-05-08.
enum AccessManagement {
    /// The operations by their names.
    static let operations: [String: QueryService.Operation] = [:]
}
