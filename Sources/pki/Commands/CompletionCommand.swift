// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

struct CompletionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion",
        _superCommandName: "pki",
        abstract: "Print the completion script of a shell.",
        discussion: """
            Tab then completes commands, options and their values: files, names and serial numbers of certificates, CAs, roles \
            and ARNs that the CA's directory has, and the profiles of ~/.aws/config. --directory and PKI_DIRECTORY count. Packages \
            install the scripts.

            For example, for you alone, in the start-up files ~/.bashrc, ~/.zshrc after compinit, and ~/.config/fish/config.fish:

              eval "$(pki completion bash)"
              eval "$(pki completion zsh)"
              pki completion fish | source

            or for all users:

              pki completion bash > /etc/bash_completion.d/pki
              pki completion zsh > /usr/local/share/zsh/site-functions/_pki
              pki completion fish > /etc/fish/completions/pki.fish
            """
    )

    @Argument(help: .value("shell", "bash, zsh or fish."))
    var shell: CompletingShell

    func run() throws { try Console.standard.write(exactly: shell.script) }
}
