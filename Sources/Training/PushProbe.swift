// SPDX-License-Identifier: Apache-2.0

import Datasets
import GradientMatrix
import NeuralNetworks
import RunStore
import Tensors

/// The ledger of pushes: by how much a pass over the training set lowers the loss of each example of a sample, through
/// itself and through others, for several aggregators A at the same weights. To first order and for a learning rate of
/// 1, with N training examples in mini-batches of B and gᵢ the example's gradient:
///
/// | push | formula |
/// |---|---|
/// | own | ⟨E[A(G with i) − A(G)], gᵢ⟩, once for every aggregate of the pass that sees i; i takes another's place |
/// | others | (N/B)·⟨E A(G), gᵢ⟩ over mini-batches without i |
/// | net | own + others |
///
/// A is the mean (`sgd`), the median of three mini-batches (`rm3`, which sees each of them three times) or the median of
/// the thirds of one (`m3`). Expectations are means over `draws` draws of three mini-batches without the sample; own
/// pushes of the medians over the first `ownDraws` of them, that of the mean is exact over the drawn mini-batches.
/// Below 0 a pass raises the example's loss. No paper has this measure.
public final class PushProbe: SampledProbe {
  /// The sample where its size is not given.
  public static let usualSize = SampleSize.atMost(120)
  /// The aggregators, in the order of the results.
  static let aggregators = ["sgd", "rm3", "m3"]
  static let draws = 100
  static let ownDraws = 4

  /// Three mini-batches; the first one's thirds are the groups of M3.
  struct Draw {
    let batches: [[Int]]
    let groups: [Range<Int>]
  }

  private var prepared: (sample: ProbeSample, isCorrupt: [Bool])?
  private var batchSize = 0
  private var trainingCount = 0
  private(set) var drawn: [Draw] = []

  /// - Parameters:
  ///   - m: training examples of the sample: half of them corrupt, as far as there are so many of each kind.
  ///   - schedule: when it measures.
  ///   - batchNorm: what batch normalisation does in its passes.
  public init(
    m: SampleSize = usualSize, at schedule: ProbeSchedule = .logarithmic, batchNorm: BatchNormPolicy = .running
  ) { super.init(m, schedule, batchNorm) }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension PushProbe: Probe {
  public var name: String { "push" }

  /// - Throws: `TrainingError` when mini-batches have no three groups.
  public func check(trainingExamples: Int?, batchSize: Int) throws {
    try checkThirds(of: batchSize)
    try size.check(of: trainingExamples)
  }

  /// - Throws: `TrainingError` when the examples that are left hold no three mini-batches.
  public func prepare(_ setup: ProbeSetup) throws {
    let (data, labels, candidates) = (setup.data, setup.data.labels, setup.data.trainIndices)
    let (count, seed) = (size.count, setup.seed)
    batchSize = setup.batchSize
    var generator = SeededGenerator(seed: seed, stream: .probe, index: 3)
    let order = generator.permutation(count: candidates.count).map { candidates[$0] }
    let corrupt = order.filter(labels.isCorrupt)
    let pristine = order.filter { !labels.isCorrupt($0) }
    let half = min(count / 2, corrupt.count)
    let chosen = (Array(corrupt.prefix(half)) + pristine.prefix(count - half)).sorted()
    let isChosen = Set(chosen)
    let rest = order.filter { !isChosen.contains($0) }
    guard rest.count >= 3 * batchSize else {
      throw TrainingError(
        .configuration,
        "the probe push draws three mini-batches of \(batchSize) without its \(chosen.count) examples, and there are "
          + "\(candidates.count) training examples; choose a smaller m or --batch-size")
    }
    var sample = try ProbeSample(
      of: data.train, labels: labels.assigned, candidates: chosen, split: Split.train.rawValue, count: chosen.count,
      seed: seed)
    (sample.chunkSize, sample.loss) = (setup.chunkSize, setup.loss)
    prepared = (sample, chosen.map(labels.isCorrupt))
    trainingCount = candidates.count
    let groups = try GradientMatrix.groups(of: batchSize, count: 3)
    drawn = (0..<Self.draws).map { _ in
      let places = generator.permutation(count: rest.count).prefix(3 * batchSize).map { rest[$0] }
      let batches = (0..<3).map { Array(places[$0 * batchSize..<($0 + 1) * batchSize]) }
      return Draw(batches: batches, groups: groups)
    }
  }

  public func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    guard let (sample, isCorrupt) = prepared else { return }
    let expected = try (0..<Self.aggregators.count).map { _ in try Self.zeros(plan) }
    var kept: [Gradients] = []
    for (place, draw) in drawn.enumerated() {
      let gradients = try Gradients(draw, of: sample, plan, keepsExample: place < Self.ownDraws)
      for (target, aggregate) in zip(expected, try gradients.aggregates()) {
        try target.add(aggregate, scale: 1 / Double(drawn.count))
      }
      if place < Self.ownDraws { kept.append(gradients) }
    }
    let passes = Double(trainingCount) / Double(batchSize)
    var records: [PushRecord] = []
    try sample.forEachChunk(plan) { matrix, range in
      let dots = try expected.map(matrix.totalProduct)
      for place in 0..<range.count {
        let row = try matrix.rows(place..<place + 1).select(0, 0)
        let square = try row.dot(row)
        var own = [(square - dots[0][place]) / Double(batchSize), 0, 0]
        for gradients in kept {
          for (aggregator, push) in try gradients.ownPushes(of: row).enumerated() {
            own[aggregator + 1] += push / Double(kept.count)
          }
        }
        let index = range.lowerBound + place
        for (aggregator, name) in Self.aggregators.enumerated() {
          records.append(
            PushRecord(
              step: step, index: sample.indices[index], isCorrupt: isCorrupt[index], aggregator: name,
              own: own[aggregator], others: passes * dots[aggregator][place]))
        }
      }
    }
    results.add(records)
    for name in Self.aggregators {
      for (group, flag) in [("pristine", false), ("corrupt", true)] {
        let mine = records.filter { $0.aggregator == name && $0.isCorrupt == flag }
        guard !mine.isEmpty else { continue }
        func mean(_ value: (PushRecord) -> Double) -> Double { mine.reduce(0) { $0 + value($1) } / Double(mine.count) }
        results.add(
          [
            ("push_own_\(group)_\(name)", mean(\.own)), ("push_others_\(group)_\(name)", mean(\.others)),
            ("push_net_\(group)_\(name)", mean(\.net)),
          ], step: step, split: sample.split, m: mine.count)
      }
    }
  }

  private static func zeros(_ plan: GradientPlan, rows: Int? = nil) throws -> Tensor {
    let values = plan.store.values
    return try Tensor.zeros((rows.map { [$0] } ?? []) + [plan.store.count], dtype: values.dtype, device: values.device)
  }

  /// The mean gradients of a draw, and what the aggregators make of them.
  private final class Gradients {
    private let batches: Tensor
    private let thirds: Tensor
    /// The gradient of the first example of the first mini-batch, whose place another takes.
    private let first: Tensor?
    private let batchSize: Int
    private let groupSize: Int
    private let medians: [Tensor]
    private let changed: Tensor
    private let median: Tensor

    init(_ draw: Draw, of sample: ProbeSample, _ plan: GradientPlan, keepsExample: Bool) throws {
      batches = try PushProbe.zeros(plan, rows: 3)
      thirds = try PushProbe.zeros(plan, rows: 3)
      (changed, median) = try (PushProbe.zeros(plan, rows: 3), PushProbe.zeros(plan))
      batchSize = draw.batches[0].count
      groupSize = draw.groups[0].count
      func mean(of indices: [Int], into target: Tensor) throws {
        var part = sample
        part.indices = indices
        try part.meanGradient(plan, into: target)
      }
      let whole = try batches.select(0, 0)
      for (place, group) in draw.groups.enumerated() {
        let row = try thirds.select(0, place)
        try mean(of: Array(draw.batches[0][group]), into: row)
        try whole.add(row, scale: Double(group.count) / Double(batchSize))
      }
      for place in 1..<3 { try mean(of: draw.batches[place], into: batches.select(0, place)) }
      if keepsExample {
        let example = try PushProbe.zeros(plan)
        try mean(of: [draw.batches[0][0]], into: example)
        first = example
      } else {
        first = nil
      }
      medians = try [batches, thirds].map { rows in
        let median = try PushProbe.zeros(plan)
        try median.setMedian(ofRows: rows)
        return median
      }
    }

    /// The mean, the median of the mini-batches, that of the thirds.
    func aggregates() throws -> [Tensor] { try [batches.select(0, 0)] + medians }

    /// What both medians' steps of a pass do more for an example of gradient g when it takes the first one's place.
    func ownPushes(of gradient: Tensor) throws -> [Double] {
      guard let first else { return [] }
      // RM3 sees each mini-batch in three medians.
      return try [(batches, batchSize, 3.0), (thirds, groupSize, 1)].enumerated().map { place, rule in
        let (rows, size, times) = rule
        try changed.copy(from: rows)
        let target = try changed.select(0, 0)
        try target.add(gradient, scale: 1 / Double(size))
        try target.add(first, scale: -1 / Double(size))
        try median.setMedian(ofRows: changed)
        return try times * (median.dot(gradient) - medians[place].dot(gradient))
      }
    }
  }
}

extension Probe {
  /// - Throws: `TrainingError` when mini-batches are too small for three groups.
  func checkThirds(of batchSize: Int) throws {
    guard batchSize < 3 else { return }
    throw TrainingError(
      .configuration, "probe \"\(self)\" splits mini-batches into three groups; batch-size must be at least 3")
  }
}
