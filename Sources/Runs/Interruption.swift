// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// Turns the first Ctrl-C (or SIGTERM, or the hang-up of a terminal that is closed) into a request that the loop asks
/// about; the second one ends the process at once.
public enum Interruption {
  private static let requested = Atomic<Bool>(false)

  /// Whether an interruption has been asked for.
  public static var isRequested: Bool { requested.load(ordering: .relaxed) }

  /// Starts listening. From then on a reader of this process's output that goes away ends nothing: what it would have
  /// read is dropped.
  public static func listen() {
    // Makes the flag exist before a handler can run: a handler must not be the first to touch it.
    requested.store(false, ordering: .relaxed)
    signal(SIGPIPE, SIG_IGN)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let previous = signal(number) { received in
        Interruption.requested.store(true, ordering: .relaxed)
        signal(received, SIG_DFL)
      }
      // Under nohup a hang-up stays ignored.
      if number == SIGHUP, isIgnored(previous) { signal(number, SIG_IGN) }
    }
  }

  private static func isIgnored(_ handler: __sighandler_t?) -> Bool {
    unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
