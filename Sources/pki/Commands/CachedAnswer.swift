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
    /// - Parameter arguments: `creds`, `--profile NAME` or `--profile=NAME`, and `--cache`, in any order of the latter two.
    init?(_ arguments: ArraySlice<String>) {
        guard let profile = Self.profile(of: arguments),
            let access = try? Access(AccessSettings(), profile: profile),
            let key = try? access.cacheKey(), let credentials = try? CredentialCache.standard.cached(for: key),
            let document = try? credentials.text(as: .process)
        else { return nil }
        text = document + "\n"
    }

    static func profile(of arguments: ArraySlice<String>) -> String? {
        guard arguments.first == "creds" else { return nil }
        var words = Array(arguments.dropFirst())
        guard words.first == "--cache" || words.last == "--cache" else { return nil }
        words.remove(at: words.first == "--cache" ? 0 : words.count - 1)
        let joined = "--profile="
        if words.count == 1, words[0].hasPrefix(joined), words[0] != joined {
            return String(words[0].dropFirst(joined.count))
        }
        guard words.count == 2, words[0] == "--profile", !words[1].isEmpty, !words[1].hasPrefix("-") else { return nil }
        return words[1]
    }
}
