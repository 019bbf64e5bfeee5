// SPDX-License-Identifier: Apache-2.0

/// Endless mini-batches of example indices: each epoch is a fresh permutation of 0 ..< `count`, cut into batches; or each
/// batch is drawn by itself (`Sampling.poisson`).
///
/// The permutation of an epoch depends on (seed, epoch) alone, and a batch that is drawn on (seed, its number), so the whole
/// state is seed, epoch and position: a sampler that was encoded in the middle of an epoch and decoded again goes on with
/// exactly the same batches.
public struct BatchSampler: Codable, Sendable, Equatable {
  /// How examples get into batches.
  public enum Sampling: String, Codable, Sendable {
    /// Every example once in an epoch.
    case shuffled
    /// Every example of every batch by itself, with probability `batchSize`/`count`: a batch has any number of examples, in
    /// ascending order, and may have none. An epoch is as many batches as of the other kind.
    case poisson
  }

  /// Number of examples.
  public let count: Int
  /// Examples in a batch; of batches that are drawn, the expected number.
  public let batchSize: Int
  /// The seed of the orders.
  public let seed: UInt64
  /// Whether the short batch at the end of an epoch is left out.
  public let dropLast: Bool
  /// Nil for the usual kind, so that its state is written as ever.
  private let drawn: Sampling?
  /// The epoch that the next batch belongs to, from 0; also the number of epochs completed.
  public private(set) var epoch: Int
  /// How many examples of this epoch have been handed out; of batches that are drawn, were expected to be.
  public private(set) var position: Int
  // The order of this epoch, made when first needed; never part of the state.
  private var order: [Int] = []

  /// Creates a sampler at the start of epoch 0.
  ///
  /// - Throws: `DatasetError` when there are no examples, or the batch size is not in 1 ... `count`, or the last of batches
  ///   that are drawn is to be left out.
  public init(
    count: Int, batchSize: Int, seed: UInt64, dropLast: Bool = false, sampling: Sampling = .shuffled
  ) throws {
    guard count > 0 else { throw DatasetError("There are no examples to draw batches from.") }
    guard count <= Int(Int32.max) else {
      throw DatasetError("\(count) examples are more than the 2 147 483 647 that a sampler can order.")
    }
    guard batchSize >= 1, batchSize <= count else {
      throw DatasetError(
        "The batch size is \(batchSize), but it must be between 1 and the \(count) examples there are.",
        remedy: "Choose another batch size or take more examples.")
    }
    guard sampling == .shuffled || !dropLast else {
      throw DatasetError(
        "Batches that are drawn by chance have no short last one to leave out.", remedy: "Leave out drop-last.")
    }
    (self.count, self.batchSize, self.seed, self.dropLast) = (count, batchSize, seed, dropLast)
    drawn = sampling == .shuffled ? nil : sampling
    (epoch, position) = (0, 0)
  }

  /// How examples get into batches.
  public var sampling: Sampling { drawn ?? .shuffled }

  /// The examples for whose batch there should be room: `batchSize`, and of batches that are drawn six standard deviations
  /// more, which hardly any exceeds.
  public var ampleBatchSize: Int {
    guard sampling == .poisson else { return batchSize }
    return min(count, batchSize + (Int(exactly: (6 * Double(batchSize).squareRoot()).rounded(.up)) ?? 0))
  }

  /// Batches in one epoch: ⌈count / batchSize⌉, or ⌊count / batchSize⌋ when the short last batch is dropped.
  public var batchesPerEpoch: Int { count / batchSize + (dropLast || count % batchSize == 0 ? 0 : 1) }

  /// The next batch of indices. After the last batch of an epoch, `epoch` has already moved on.
  public mutating func next() -> [Int] {
    if sampling == .poisson {
      // A stream for each batch, so that its number is all that there is to remember.
      var generator = SeededGenerator(
        seed: seed, stream: .poissonSampling, index: epoch &* batchesPerEpoch &+ position / batchSize)
      let rate = Double(batchSize) / Double(count)
      defer { moveOn() }
      return (0..<count).filter { _ in generator.unit() < rate }
    }
    if order.isEmpty {
      var generator = SeededGenerator(seed: seed, stream: .shuffling, index: epoch)
      order = generator.permutation(count: count)
    }
    let end = min(position + batchSize, count)
    let batch = Array(order[position..<end])
    moveOn()
    return batch
  }

  private mutating func moveOn() {
    position = min(position + batchSize, count)
    if position == count || (dropLast && count - position < batchSize) {
      position = 0
      epoch &+= 1
      order = []
    }
  }

  /// Consecutive ranges that cover 0 ..< `count` in order, for evaluation; the last one may be short. No examples, no
  /// ranges; a batch size below 1 is taken as 1.
  public static func sequential(count: Int, batchSize: Int) -> [Range<Int>] {
    let size = max(batchSize, 1)
    return stride(from: 0, to: max(count, 0), by: size).map { start in
      start..<(count - start < size ? count : start + size)
    }
  }

  private enum CodingKeys: String, CodingKey {
    case count, batchSize, seed, dropLast, epoch, position
    case drawn = "sampling"
  }

  /// Restores a sampler in the middle of its sequence.
  ///
  /// - Throws: `DecodingError` when a value is missing or impossible.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    do {
      try self.init(
        count: values.decode(Int.self, forKey: .count), batchSize: values.decode(Int.self, forKey: .batchSize),
        seed: values.decode(UInt64.self, forKey: .seed), dropLast: values.decode(Bool.self, forKey: .dropLast),
        sampling: values.decodeIfPresent(Sampling.self, forKey: .drawn) ?? .shuffled)
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
      && a.drawn == b.drawn && a.epoch == b.epoch && a.position == b.position
  }
}
