// SPDX-License-Identifier: Apache-2.0

/// Endless mini-batches of example indices: each epoch is a fresh permutation of 0 ..< `count`, cut into batches.
///
/// The permutation of an epoch depends on (seed, epoch) alone, so the whole state is seed, epoch and position: a
/// sampler that was encoded in the middle of an epoch and decoded again goes on with exactly the same batches.
public struct BatchSampler: Codable, Sendable, Equatable {
  /// Number of examples.
  public let count: Int
  /// Examples in a batch.
  public let batchSize: Int
  /// The seed of the orders.
  public let seed: UInt64
  /// Whether the short batch at the end of an epoch is left out.
  public let dropLast: Bool
  /// The epoch that the next batch belongs to, from 0; also the number of epochs completed.
  public private(set) var epoch: Int
  /// How many examples of this epoch have been handed out.
  public private(set) var position: Int
  // The order of this epoch, made when first needed; never part of the state.
  private var order: [Int] = []

  /// Creates a sampler at the start of epoch 0.
  ///
  /// - Throws: `DatasetError` when there are no examples, or the batch size is not in 1 ... `count`.
  public init(count: Int, batchSize: Int, seed: UInt64, dropLast: Bool = false) throws {
    guard count > 0 else { throw DatasetError("There are no examples to draw batches from.") }
    guard count <= Int(Int32.max) else {
      throw DatasetError("\(count) examples are more than the 2 147 483 647 that a sampler can order.")
    }
    guard batchSize >= 1, batchSize <= count else {
      throw DatasetError(
        "The batch size is \(batchSize), but it must be between 1 and the \(count) examples there are.",
        remedy: "Choose another batch size or take more examples.")
    }
    (self.count, self.batchSize, self.seed, self.dropLast) = (count, batchSize, seed, dropLast)
    (epoch, position) = (0, 0)
  }

  /// Batches in one epoch: ⌈count / batchSize⌉, or ⌊count / batchSize⌋ when the short last batch is dropped.
  public var batchesPerEpoch: Int { count / batchSize + (dropLast || count % batchSize == 0 ? 0 : 1) }

  /// The next batch of indices. After the last batch of an epoch, `epoch` has already moved on.
  public mutating func next() -> [Int] {
    if order.isEmpty {
      var generator = SeededGenerator(seed: seed, stream: .shuffling, index: epoch)
      order = generator.permutation(count: count)
    }
    let end = min(position + batchSize, count)
    let batch = Array(order[position..<end])
    position = end
    if position == count || (dropLast && count - position < batchSize) {
      position = 0
      epoch &+= 1
      order = []
    }
    return batch
  }

  /// Consecutive ranges that cover 0 ..< `count` in order, for evaluation; the last one may be short. No examples, no
  /// ranges; a batch size below 1 is taken as 1.
  public static func sequential(count: Int, batchSize: Int) -> [Range<Int>] {
    let size = max(batchSize, 1)
    return stride(from: 0, to: max(count, 0), by: size).map { start in
      start..<(count - start < size ? count : start + size)
    }
  }

  private enum CodingKeys: String, CodingKey { case count, batchSize, seed, dropLast, epoch, position }

  /// Restores a sampler in the middle of its sequence.
  ///
  /// - Throws: `DecodingError` when a value is missing or impossible.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    do {
      try self.init(
        count: values.decode(Int.self, forKey: .count), batchSize: values.decode(Int.self, forKey: .batchSize),
        seed: values.decode(UInt64.self, forKey: .seed), dropLast: values.decode(Bool.self, forKey: .dropLast))
    } catch let error as DatasetError {
      throw DecodingError.dataCorruptedError(forKey: .count, in: values, debugDescription: error.description)
    }
    epoch = try values.decode(Int.self, forKey: .epoch)
    position = try values.decode(Int.self, forKey: .position)
    let reachable =
      position >= 0 && position < count && position % batchSize == 0 && !(dropLast && count - position < batchSize)
    guard epoch >= 0, reachable else {
      throw DecodingError.dataCorruptedError(
        forKey: .position, in: values,
        debugDescription: "Epoch \(epoch), position \(position) is not a place in an order of \(count) examples.")
    }
  }

  /// Two samplers are equal when they will hand out the same batches for ever.
  public static func == (a: BatchSampler, b: BatchSampler) -> Bool {
    a.count == b.count && a.batchSize == b.batchSize && a.seed == b.seed && a.dropLast == b.dropLast
      && a.epoch == b.epoch && a.position == b.position
  }
}
