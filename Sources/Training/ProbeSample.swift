// SPDX-License-Identifier: Apache-2.0

import Coherence
import Collectives
import Datasets
import GradientMatrix
import NeuralNetworks
import Tensors

/// A fixed sample of examples, always the same ones in the same order, and the passes over their gradients.
public struct ProbeSample {
  /// The data set.
  public let dataset: Dataset
  /// The labels that losses are taken against, one per example of the data set.
  public let labels: [Int]
  /// The sample.
  public internal(set) var indices: [Int]
  /// "train" or "test".
  public let split: String
  /// Examples in a pass, at most. Results do not depend on it beyond rounding.
  public var chunkSize = usualChunkSize
  /// Ranks that share passes over the gradients, all of which make the same ones; nil for this process alone.
  public var group: ProcessGroup?
  /// Whose gradients are taken.
  public var loss = ClassificationLoss.crossEntropy
  /// What `chunkSize` is unless memory asks for less.
  public static let usualChunkSize = 150

  /// A sample of `count` examples of `candidates`, drawn without replacement by the seed; all of them, in order, when
  /// there are no more.
  ///
  /// - Throws: `TrainingError` when more are asked for than there are.
  public init(of dataset: Dataset, labels: [Int], candidates: [Int], split: String, count: Int, seed: UInt64) throws {
    try Self.check(count: count, of: candidates.count, split: split)
    (self.dataset, self.labels, self.split) = (dataset, labels, split)
    if count == candidates.count {
      indices = candidates
    } else {
      var generator = SeededGenerator(seed: seed, stream: .probe)
      let order = generator.permutation(count: candidates.count)
      indices = order.prefix(count).map { candidates[$0] }.sorted()
    }
  }

  /// - Throws: `TrainingError` when a sample has more examples than there are.
  static func check(count: Int, of examples: Int, split: String) throws {
    guard count >= 1, count <= examples else {
      throw TrainingError(
        .configuration,
        "a probe of \(count) \(split) examples was requested, but there are \(examples); request 1 to \(examples)")
    }
  }

  /// The gradient matrices of the sample, or of some of its places, chunk by chunk.
  func forEachChunk(
    _ plan: GradientPlan, of places: Range<Int>? = nil, _ body: (GradientMatrix, Range<Int>) throws -> Void
  ) throws {
    let device = plan.store.values.device
    let places = places ?? indices.indices
    try dataset.forEachBatch(of: Array(indices[places]), size: chunkSize, device: device) { images, part in
      let range = places.lowerBound + part.lowerBound..<places.lowerBound + part.upperBound
      let targets = try Tensor(indices[range].map { labels[$0] }, device: device)
      let matrix = try GradientMatrix(plan, input: images) { try loss.losses($0, targets: targets) }
      try body(matrix, range)
    }
  }

  /// The mean gradient of the sample into a flat buffer [P].
  func meanGradient(_ plan: GradientPlan, into target: Tensor) throws {
    try forEachChunk(plan) { try $0.columnSum(into: target, accumulating: $1.lowerBound > 0) }
    try target.multiply(by: 1 / Double(indices.count))
  }

  /// One pass: S and Q of the sample, and ‖gᵢ‖² of its examples. Ranks take whole groups of the jackknife each.
  func accumulate(
    _ plan: GradientPlan, groupCount: Int = 0, dividesLayers: Bool = false
  ) throws -> (accumulator: CoherenceAccumulator, squaredNorms: [Double]) {
    let hasGroups = groupCount >= 2 && indices.count >= 2 * groupCount
    let groups = hasGroups ? CoherenceAccumulator.groups(of: indices.count, count: groupCount) : []
    let own = ownShare(of: hasGroups ? groups : nil, plan)
    let accumulator = try CoherenceAccumulator(
      plan, expectedCount: indices.count, first: own.lowerBound, groupCount: groupCount, dividesLayers: dividesLayers)
    let squaredNorms = try gathered(plan, 1) {
      var norms: [Double] = []
      norms.reserveCapacity(own.count)
      // The chunks of a group are of one size, and end where it does.
      for range in hasGroups ? groups.filter({ own.overlaps($0) }) : [own] where !range.isEmpty {
        var part = self
        let chunks = (range.count + chunkSize - 1) / chunkSize
        part.chunkSize = hasGroups ? (range.count + chunks - 1) / chunks : chunkSize
        try part.forEachChunk(plan, of: range) { matrix, _ in norms += try accumulator.add(matrix) }
      }
      return norms
    }
    if let group = sharing(plan) { try accumulator.combine(over: group) }
    return (accumulator, squaredNorms)
  }

  /// Measures the coherence of the sample. Where ranks train together, the samples of a probe are shared: all of them have
  /// to call this.
  ///
  /// - Parameters:
  ///   - plan: how the examples' gradients are computed.
  ///   - groupCount: groups for the confidence intervals; 0 for none.
  ///   - dividesLayers: whether parts of layers, such as heads, are measured by themselves, too.
  /// - Throws: `CoherenceError` when a gradient is not finite, named by layer and place in the sample.
  public func coherence(
    _ plan: GradientPlan, groupCount: Int = 10, dividesLayers: Bool = false
  ) throws -> CoherenceResult {
    try accumulate(plan, groupCount: groupCount, dividesLayers: dividesLayers).accumulator.result()
  }

  /// How the sample's gradients stand to their mean ḡ over all weights, and the sample's coherence, which comes for
  /// nothing. Two passes: ḡ and ‖gᵢ‖² first, then G·ḡ. All ranks have to call this, as `coherence`.
  ///
  /// - Parameters:
  ///   - plan: how the examples' gradients are computed.
  ///   - groupCount: groups for the confidence intervals; 0 for none.
  /// - Throws: `CoherenceError` when a gradient is not finite, named by layer and place in the sample.
  public func exampleGradients(
    _ plan: GradientPlan, groupCount: Int = 0
  ) throws -> (examples: ExampleGradients, coherence: CoherenceResult) {
    let (accumulator, squaredNorms) = try accumulate(plan, groupCount: groupCount)
    let coherence = try accumulator.result()
    let mean = try accumulator.meanGradient()
    let targets = indices.map { labels[$0] }
    let own = ownShare(plan)
    // ⟨gᵢ, ḡ⟩, loss, margin and whether it is right.
    let found = try gathered(plan, 4) {
      var numbers: [Double] = []
      try forEachChunk(plan, of: own) { matrix, range in
        let dots = try matrix.totalProduct(mean)
        let facts = try matrix.output.classificationRecords(
          targets: Tensor(Array(targets[range]), device: matrix.output.device))
        let losses = try matrix.losses.to(.float32).values(as: Float.self)
        for place in dots.indices {
          numbers += [dots[place], Double(losses[place]), facts.margins[place], facts.ranks[place] == 0 ? 1 : 0]
        }
      }
      return numbers
    }
    func column(_ number: Int) -> [Double] { stride(from: number, to: found.count, by: 4).map { found[$0] } }
    let examples = ExampleGradients(
      split: split, indices: indices, labels: targets, isCorrupt: indices.map { labels[$0] != dataset.labels[$0] },
      meanSquaredNorm: try mean.dot(mean), dots: column(0), squaredNorms: squaredNorms,
      losses: column(1).map { Float($0) }, margins: column(2).map { Float($0) }, isCorrect: column(3).map { $0 == 1 },
      files: dataset.file(at: 0).map { _ in indices.map { dataset.file(at: $0) ?? "" } })
    return (examples, coherence)
  }
}
