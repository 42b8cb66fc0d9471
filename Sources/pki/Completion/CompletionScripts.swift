// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SystemSupport

/// A shell that can be told what pki's words can be.
///
/// Its script knows nothing of commands and options: it asks the program, which prints a kind in the first line and, for
/// values, one in each line after it. No shell ever evaluates an answer.
enum CompletingShell: String, CaseIterable, ExpressibleByArgument {
    case bash, zsh, fish

    /// The first word of a request.
    static let request = "---complete"

    /// What defines the completion of `pki`, to be read by the shell. The program is looked for on the PATH: what is typed
    /// has not been entered yet, and is not run.
    var script: String {
        switch self {
        case .bash: Self.bashScript
        case .zsh: Self.zshScript
        case .fish: Self.fishScript
        }
    }

    /// The answer to a request.
    ///
    /// - Parameters:
    ///   - words: Of bash the line up to the cursor and what of it will be replaced; of the others the words after the
    ///     program's name up to the cursor, without quotation marks.
    ///   - root: The command of all commands.
    func answer(_ words: [String], of root: any ParsableCommand.Type) -> String {
        let line = self == .bash ? PartialLine((words.first ?? "").unicodeScalars) : nil
        let answer = CompletionRequest(line.map { Array($0.words.dropFirst()) } ?? words, of: root).answer
        switch answer {
        case .files: return "files\n"
        case .directories: return "directories\n"
        case .commands: return "commands\n"
        case .values(let offers):
            let lines = offers.map { offer in
                line?.replacement(by: offer.value, for: words.count > 1 ? words[1] : "")
                    ?? "\(offer.value)\t\(printable(offer.explanation))"
            }
            return (["values"] + lines).map { $0 + "\n" }.joined()
        }
    }

    private static let bashScript = #"""
        # bash completion for pki
        _pki() {
            local kind
            COMPREPLY=()
            { IFS= read -r kind && mapfile -t COMPREPLY; } \
                < <(command pki ---complete bash "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
            case $kind in
                files) compopt -o default ;;
                directories) compopt -o dirnames ;;
                commands) mapfile -t COMPREPLY < <(compgen -c -- "$2") ;;
            esac
        }
        complete -F _pki pki

        """#

    private static let zshScript = #"""
        #compdef pki
        _pki() {
            local line
            local -a lines values shown
            lines=("${(@f)$(command pki ---complete zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
            case $lines[1] in
                files) [[ $PREFIX == --*=* ]] && compset -P '*='; _files ;;
                directories) [[ $PREFIX == --*=* ]] && compset -P '*='; _path_files -/ ;;
                commands) _command_names -e ;;
                values)
                    for line in "${(@)lines[2,-1]}"; do
                        values+=("${line%%$'\t'*}")
                        shown+=("${${line/$'\t'/  -- }%  -- }")
                    done
                    compadd -l -d shown -a values
                    ;;
            esac
        }
        if [[ $funcstack[1] == _pki ]]; then _pki "$@"; else compdef _pki pki; fi

        """#

    private static let fishScript = #"""
        # fish completion for pki
        function __pki_complete
            set -l before (commandline -opc)
            set -e before[1]
            set -l word (commandline -ct)
            set -l plain (string unescape -- $word; or string replace -r '^["\']' '' -- $word)
            set -l lines (command pki ---complete fish $before "$plain" 2>/dev/null)
            switch "$lines[1]"
                case files directories
                    set -l option (string match -r -- '^--[^=]*=' "$word")
                    # Of a command that fish does not know it completes files.
                    set -l paths (complete -C"__pki_no_command "(string replace -- "$option" '' "$word"))
                    test $lines[1] = directories; and set paths (string match -r -- '^[^\t]*/(?:\t.*)?$' $paths)
                    set -q paths[1]; and printf '%s\n' "$option"$paths
                case commands
                    __fish_complete_command
                case values
                    set -e lines[1]
                    string join \n -- $lines
            end
        end
        complete -c pki -f -k -a '(__pki_complete)'

        """#
}

/// A line of bash up to the cursor, read as bash reads it; nothing is expanded.
///
/// It is read by scalars: a quotation mark is one also when an accent follows.
struct PartialLine {
    /// Without quotation marks. The last one is at the cursor.
    var words: [String] { scalars.map { String(String.UnicodeScalarView($0)) } }

    /// The quotation mark that is open at the cursor.
    private(set) var quote: Unicode.Scalar?

    private var scalars: [[Unicode.Scalar]] = [[]]

    /// The last word as it was typed.
    private var typed: [Unicode.Scalar] = []

    init(_ line: some Sequence<Unicode.Scalar>) {
        var rest = line.makeIterator()
        while let scalar = rest.next() {
            if quote == nil, scalar == " " || scalar == "\t" {
                if !typed.isEmpty { scalars.append([]) }
                typed = []
                continue
            }
            typed.append(scalar)
            switch (scalar, quote) {
            case ("'", nil), ("\"", nil): quote = scalar
            case ("'", "'"), ("\"", "\""): quote = nil
            case ("\\", nil), ("\\", "\""):
                guard let next = rest.next() else { continue }
                typed.append(next)
                if quote != nil, !Self.isSpecial(next) { scalars[scalars.count - 1].append(scalar) }
                scalars[scalars.count - 1].append(next)
            default: scalars[scalars.count - 1].append(scalar)
            }
        }
    }

    /// What bash inserts for a word that begins as the last one does.
    ///
    /// - Parameters:
    ///   - word: The whole word.
    ///   - replaced: What bash will replace: the end of the last word as it was typed, after an open quotation mark or after a
    ///     character of COMP_WORDBREAKS, such as a colon.
    func replacement(by word: String, for replaced: String) -> String {
        let end = replaced.unicodeScalars
        let isEnd = typed.count >= end.count && typed.suffix(end.count).elementsEqual(end)
        let kept = isEnd ? PartialLine(typed.dropLast(end.count)).scalars[0].count : 0
        let text = word.unicodeScalars.dropFirst(kept).map(quoted).joined()
        // bash takes a mark at the end for the closing one, which it would append.
        return quote.map { text.unicodeScalars.last == $0 ? "\(text)\($0)" : text } ?? text
    }

    private func quoted(_ scalar: Unicode.Scalar) -> String {
        switch quote {
        case "'": scalar == "'" ? #"'\''"# : String(scalar)
        // A history expansion, which a backslash between these does not hinder.
        case "\"": scalar == "!" ? #""'!'""# : Self.isSpecial(scalar) ? "\\\(scalar)" : String(scalar)
        default: Self.isPlain(scalar) ? String(scalar) : "\\\(scalar)"
        }
    }

    /// Whether a backslash between quotation marks belongs to the character.
    private static func isSpecial(_ scalar: Unicode.Scalar) -> Bool { ["$", "`", "\"", "\\"].contains(scalar) }

    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_", ".", "/", ":", "@", "%", "+", "=", ",", "-": true
        default: !scalar.isASCII
        }
    }
}
