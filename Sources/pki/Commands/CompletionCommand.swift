// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct CompletionCommand: ParsableCommand {
    enum Shell: String, CaseIterable, ExpressibleByArgument {
        case bash, zsh, fish

        fileprivate var parserShell: CompletionShell {
            switch self {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        }
    }

    static let configuration = CommandConfiguration(
        commandName: "completion",
        _superCommandName: "pki",
        abstract: "Print the completion script of a shell.",
        discussion: """
            Completes commands, options, files, names of certificates in ./credential-process-data, and profiles.

            For example:

              pki completion bash > /etc/bash_completion.d/pki
              pki completion zsh > ~/.zsh/completions/_pki
              pki completion fish > ~/.config/fish/completions/pki.fish
            """
    )

    @Argument(help: .value("shell", "bash, zsh or fish."))
    var shell: Shell

    func run() throws { try Console.standard.write(exactly: PKI.completionScript(for: shell.parserShell) + "\n") }
}
