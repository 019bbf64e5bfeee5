// SPDX-License-Identifier: Apache-2.0

/// How numbers, rows or examples are divided among ranks: as evenly as whole ones allow, in order.
public struct ShardPlan: Sendable, Equatable {
  /// How many there are, n.
  public let count: Int
  /// N.
  public let ranks: Int

  /// - Parameters:
  ///   - count: how many there are.
  ///   - ranks: at least 1.
  public init(count: Int, ranks: Int) { (self.count, self.ranks) = (count, max(1, ranks)) }

  /// ⌈n/N⌉: the size of every shard but the last ones, which may be shorter or empty.
  public var size: Int { (count + ranks - 1) / ranks }

  /// N·⌈n/N⌉: what is exchanged, with the end left empty.
  public var padded: Int { size * ranks }

  /// What a rank has.
  public func range(of rank: Int) -> Range<Int> { min(count, rank * size)..<min(count, (rank + 1) * size) }
}
