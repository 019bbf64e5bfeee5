// SPDX-License-Identifier: Apache-2.0

/// When each training example was learned.
///
/// An observation of an example is whether the parameters after t updates classify it correctly (against its assigned
/// label): once a visit, from the logits its mini-batch needs anyway, and at every evaluation of the training set, unless
/// that is of a running mean of the weights.
/// First learned is the first t with a correct observation; last learned the t since which every observation was
/// correct; a forgetting event is a correct observation followed by a wrong one.
public struct LearningRecord: Sendable, Equatable {
  /// Step of the first correct observation, −1 when none.
  public private(set) var firstLearned: [Int]
  /// Step since which all observations were correct, −1 when the last one was wrong or there is none.
  public private(set) var lastLearned: [Int]
  /// Number of correct observations followed by a wrong one.
  public private(set) var forgettingEvents: [Int]

  /// A record for `count` examples, none observed.
  public init(count: Int) {
    firstLearned = Array(repeating: -1, count: count)
    lastLearned = firstLearned
    forgettingEvents = Array(repeating: 0, count: count)
  }

  /// Steps and counts that a saved record can hold: what is counted on from there still fits an `Int`.
  private static let savedRange = -1...Int(Int32.max)

  /// A record from saved columns; nil when they differ in length, or hold what no training has counted.
  public init?(firstLearned: [Int], lastLearned: [Int], forgettingEvents: [Int]) {
    guard firstLearned.count == lastLearned.count, firstLearned.count == forgettingEvents.count,
      [firstLearned, lastLearned, forgettingEvents].allSatisfy({ $0.allSatisfy(Self.savedRange.contains) })
    else { return nil }
    (self.firstLearned, self.lastLearned, self.forgettingEvents) = (firstLearned, lastLearned, forgettingEvents)
  }

  /// Takes note of one observation. An index outside the record is ignored.
  public mutating func observe(_ index: Int, isCorrect: Bool, step: Int) {
    guard firstLearned.indices.contains(index) else { return }
    if isCorrect {
      if firstLearned[index] < 0 { firstLearned[index] = step }
      if lastLearned[index] < 0 { lastLearned[index] = step }
    } else if lastLearned[index] >= 0 {
      lastLearned[index] = -1
      forgettingEvents[index] += 1
    }
  }
}
