// SPDX-License-Identifier: Apache-2.0

// Linked into the tests for what it does when they start; it has nothing to call.
