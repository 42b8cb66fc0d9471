// SPDX-License-Identifier: Apache-2.0

import Delivery

/// The answer to the command line that programs call again and again, the one that `pki configure` writes.
///
/// Setting up the parser of the command line costs more than all the rest of a hit in the cache. So this one form is
/// answered before; whatever is not exactly it, is not in the cache or is out of order goes the ordinary way, which says
/// what is wrong.
struct CachedAnswer {
    /// What to print.
    let text: String

    /// Looks whether a command line is that form and its credentials are in the cache.
    ///
    /// - Parameter arguments: `creds`, `--profile NAME` and `--cache`, in any order of the latter two.
    init?(_ arguments: ArraySlice<String>) {
        guard let profile = Self.profile(of: arguments),
            let access = try? Access(AccessSettings(), profile: profile),
            let key = try? access.cacheKey(), let credentials = try? CredentialCache.standard.cached(for: key),
            let document = try? credentials.text(as: .process)
        else { return nil }
        text = document + "\n"
    }

    static func profile(of arguments: ArraySlice<String>) -> String? {
        let words = Array(arguments)
        guard words.count == 4, words[0] == "creds" else { return nil }
        let name =
            switch (words[1], words[2], words[3]) {
            case ("--profile", let name, "--cache"), ("--cache", "--profile", let name): name
            default: ""
            }
        return name.isEmpty || name.hasPrefix("-") ? nil : name
    }
}
