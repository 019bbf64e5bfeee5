// SPDX-License-Identifier: Apache-2.0

import Tensors

/// What a run has taken of time, over all attempts.
struct TimeSpent: Equatable, Sendable {
  /// Seconds from start to end of every attempt.
  var wall = 0.0
  /// Seconds of processors, all threads together: of the first rank alone where there are several. nil when an attempt
  /// did not count them.
  var processor: Double? = 0
}

/// Counts what an attempt takes on top of those before it.
struct RunClock {
  private let before: TimeSpent
  // Not the time of day, which somebody may set meanwhile.
  private let begun = ContinuousClock.now
  private let processorBegun = Runtime.processorSeconds

  init(after before: TimeSpent = .init()) { self.before = before }

  var spent: TimeSpent {
    TimeSpent(
      wall: before.wall + begun.secondsAgo,
      processor: before.processor.map { $0 + max(0, Runtime.processorSeconds - processorBegun) })
  }
}

extension ContinuousClock.Instant {
  var secondsAgo: Double { (ContinuousClock.now - self) / .seconds(1) }
}
