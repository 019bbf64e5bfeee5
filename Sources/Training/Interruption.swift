// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// Turns the first Ctrl-C (or SIGTERM) into a wish that the loop can ask for; the second one ends the process at once.
public enum Interruption {
  private static let wished = Atomic<Bool>(false)

  /// Whether an interruption has been asked for.
  public static var isWished: Bool { wished.load(ordering: .relaxed) }

  /// Starts listening.
  public static func listen() {
    // Makes the flag exist before a handler can run: a handler must not be the first to touch it.
    wished.store(false, ordering: .relaxed)
    for number in [SIGINT, SIGTERM] {
      signal(number) { received in
        Interruption.wished.store(true, ordering: .relaxed)
        signal(received, SIG_DFL)
      }
    }
  }
}
