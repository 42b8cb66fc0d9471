// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemSupport
import Testing

@Suite struct CaughtSignalTests {
    @Test func `caught signals arrive in their order and do not end the process`() async {
        var signals = await CaughtSignal.stream(of: .user1, .user2).makeAsyncIterator()
        for signal in [CaughtSignal.user1, .user2, .user1] {
            kill(getpid(), signal.rawValue)
            #expect(await signals.next() == signal)
        }
    }

    @Test(arguments: [
        (CaughtSignal.hangUp, SIGHUP), (.interrupt, SIGINT), (.quit, SIGQUIT), (.user1, SIGUSR1), (.user2, SIGUSR2),
        (.terminate, SIGTERM),
    ])
    func `each has the system's number`(_ signal: CaughtSignal, _ number: CInt) {
        #expect(signal.rawValue == number)
    }
}
