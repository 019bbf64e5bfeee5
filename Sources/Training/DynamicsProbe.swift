// SPDX-License-Identifier: Apache-2.0

import Collectives
import Datasets
import GradientMatrix
import NeuralNetworks
import Tensors

/// What an audit of the labels needs: see `TrainingDynamics`. Visits cost the softmax of logits that are there anyway.
/// At the scheduled steps, from the first update on, one factored pass takes the gradients of all training examples
/// against mean gradients over at most `samplesPerClass` examples of each class, weighted to the classes' sizes; an
/// example's own part in a mean is taken out. After the last step a forward pass takes logits and neighbours.
public final class DynamicsProbe {
  /// When the gradients are taken.
  public let schedule: ProbeSchedule
  /// What batch normalisation does in the passes.
  public let batchNormPolicy: BatchNormPolicy
  /// Examples that the mean gradient of a class is taken over, at most.
  public static let samplesPerClass = 256
  /// Numbers in the means of all classes together, at most, for them to be kept; otherwise each is taken twice.
  static let keptMeans = 1 << 26
  /// After the second epoch: what most examples share is learned first.
  public static let usualSchedule: ProbeSchedule = [.epochs(2...2)]

  private(set) var dynamics = TrainingDynamics(indices: [], labels: [], classCount: 1)
  private var sample: ProbeSample?
  private var rows: [Int] = []
  private var learningRate = 0.0
  private var seed: UInt64 = 0

  /// - Parameters:
  ///   - schedule: when the gradients are taken.
  ///   - batchNorm: what batch normalisation does in the passes.
  public init(at schedule: ProbeSchedule = usualSchedule, batchNorm: BatchNormPolicy = .running) {
    (self.schedule, batchNormPolicy) = (schedule, batchNorm)
  }
}

// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension DynamicsProbe: Probe {
  public var name: String { "dynamics" }

  public func prepare(_ setup: ProbeSetup) throws {
    let sample = try setup.trainSample(.all)
    rows = [Int](repeating: -1, count: setup.data.train.count)
    for (row, index) in sample.indices.enumerated() { rows[index] = row }
    dynamics = TrainingDynamics(
      indices: sample.indices, labels: sample.indices.map { sample.labels[$0] },
      classCount: setup.data.train.classCount)
    (self.sample, seed) = (sample, setup.seed)
  }

  public func didVisit(_ visit: TrainingVisit) {
    let classCount = dynamics.classCount
    visit.logits.withUnsafeBufferPointer { logits in
      for (place, index) in visit.indices.enumerated() where rows[index] >= 0 {
        let own = logits[place * classCount..<(place + 1) * classCount]
        dynamics.note(row: rows[index], logits: UnsafeBufferPointer(rebasing: own))
      }
    }
  }

  public func didStep(_ record: StepRecord) { learningRate = record.learningRate }

  /// Ranks take as many examples each, class by class, and the mean gradients of the classes that these are of.
  public func measure(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    guard step > 0, let sample else { return }
    let groups = ClassGroups(dynamics.labels, classCount: dynamics.classCount, seed: seed).all
    let device = plan.store.values.device
    let ranks = sample.sharing(plan)
    let own = Self.parts(of: groups, in: sample.ownShare(plan))
    func zeros() throws -> Tensor { try .zeros([plan.store.count], dtype: plan.store.values.dtype, device: device) }
    let mean = try zeros()
    let keepsMeans = own.count * plan.store.count <= Self.keptMeans
    let shared = try zeros()
    func takeClassMean(_ group: ClassGroups.Group, into target: Tensor) throws -> Tensor {
      var part = sample
      part.indices = group.sampled.map { sample.indices[$0] }
      try part.meanGradient(plan, into: target)
      return target
    }
    let means = try own.map { group, rows in
      let classMean = try takeClassMean(group, into: keepsMeans ? zeros() : shared)
      // Of the ranks that share a class the first one counts it.
      if rows.lowerBound == 0 { try mean.add(classMean, scale: Double(group.rows.count) / Double(dynamics.count)) }
      return classMean
    }
    try ranks?.sum(mean)
    let square = try mean.dot(mean)
    // ‖gᵢ‖², ⟨gᵢ, ḡ⟩, ⟨gᵢ, ḡ of the class⟩ and the square of that mean, class by class.
    let found = try sample.gathered(plan, 4) {
      var numbers: [Double] = []
      for ((group, rows), kept) in zip(own, means) {
        let classMean = try keepsMeans ? kept : takeClassMean(group, into: shared)
        let classSquare = try classMean.dot(classMean)
        var part = sample
        part.indices = group.rows[rows].map { sample.indices[$0] }
        try part.forEachChunk(plan) { matrix, _ in
          let (products, norms) = try matrix.rowProducts([mean, classMean])
          for place in norms.indices { numbers += [norms[place], products[0][place], products[1][place], classSquare] }
        }
      }
      return numbers
    }
    var start = 0
    for group in groups {
      let isSampled = Set(group.sampled)
      let part = 1 / Double(group.sampled.count)
      let share = part * Double(group.rows.count) / Double(dynamics.count)
      for row in group.rows {
        let isIn = isSampled.contains(row)
        note(
          row, squaredNorm: found[start],
          all: .init(dot: found[start + 1], square: square, share: isIn ? share : 0),
          ofClass: .init(dot: found[start + 2], square: found[start + 3], share: isIn ? part : 0))
        start += 4
      }
    }
    dynamics.moments += 1
  }

  /// The classes that a range of the examples, class by class, meets, and which rows of each.
  private static func parts(
    of groups: [ClassGroups.Group], in range: Range<Int>
  ) -> [(group: ClassGroups.Group, rows: Range<Int>)] {
    var start = 0
    return groups.compactMap { group in
      defer { start += group.rows.count }
      let rows = range.clamped(to: start..<start + group.rows.count)
      return rows.isEmpty ? nil : (group, rows.lowerBound - start..<rows.upperBound - start)
    }
  }

  private func note(
    _ row: Int, squaredNorm: Double, all: WithoutOwnPart, ofClass: WithoutOwnPart
  ) {
    dynamics.normSum[row] += squaredNorm.squareRoot()
    dynamics.selfInfluence[row] += learningRate * squaredNorm
    dynamics.othersPush[row] += learningRate * all.dotOfOthers(squaredNorm)
    dynamics.cosineSum[row] += all.cosineOfOthers(squaredNorm)
    dynamics.classCosineSum[row] += ofClass.cosineOfOthers(squaredNorm)
  }

  public func finish(_ plan: GradientPlan, step: Int, into results: inout ProbeResults) throws {
    guard let sample else { return }
    let context = ForwardContext.evaluation(linearPolicy: plan.linearPolicy)
    var hidden: Tensor?
    context.observer = { module, input, _ in if module is Linear { hidden = input } }
    var (logits, features): ([Float], [Float]) = ([], [])
    try sample.dataset.forEachBatch(
      of: sample.indices, size: sample.chunkSize, device: plan.store.values.device
    ) { images, _ in
      try withoutGradients {
        let output = try plan.model.forward(images, in: context)
        logits += try output.to(.float32).values(as: Float.self)
        let layer = try (hidden ?? output).reshape([images.size(0), -1])
        features += try layer.to(.float32).values(as: Float.self)
        hidden = nil
      }
    }
    dynamics.finalLogits = logits
    dynamics.neighbourAgreement = try NeighbourAgreement.shares(
      features: features, labels: dynamics.labels, seed: seed)
    results.dynamics = dynamics
  }

  public func state() throws -> [(name: String, tensor: Tensor)] { try dynamics.tensors() }

  public func restore(_ state: [String: Tensor]) throws {
    let saved = try TrainingDynamics(state)
    guard saved.indices == dynamics.indices, saved.labels == dynamics.labels, saved.classCount == dynamics.classCount
    else { throw ProbeState.mismatch }
    dynamics = saved
  }
}

/// How gᵢ stands to a mean v in which it may have a share w: to v₋ᵢ = (v − w·gᵢ)/(1 − w).
private struct WithoutOwnPart {
  /// ⟨gᵢ, v⟩.
  let dot: Double
  /// ‖v‖².
  let square: Double
  /// w.
  let share: Double

  /// ⟨gᵢ, v₋ᵢ⟩; 0 where nothing else is in the mean.
  func dotOfOthers(_ squaredNorm: Double) -> Double {
    share < 1 ? (dot - share * squaredNorm) / (1 - share) : 0
  }

  /// The cosine of gᵢ and v₋ᵢ; 0 where either is 0.
  func cosineOfOthers(_ squaredNorm: Double) -> Double {
    let others = square - 2 * share * dot + share * share * squaredNorm
    guard share < 1, others > 0, squaredNorm > 0 else { return 0 }
    return max(-1, min(1, (dot - share * squaredNorm) / (others * squaredNorm).squareRoot()))
  }
}

/// The examples by label, and those that the mean gradient of a label is taken over.
private struct ClassGroups {
  struct Group {
    /// All examples of the label, by place.
    let rows: [Int]
    /// Those that are sampled.
    let sampled: [Int]
  }
  /// The groups of labels that have examples.
  let all: [Group]

  init(_ labels: [Int], classCount: Int, seed: UInt64) {
    var byClass = [[Int]](repeating: [], count: classCount)
    for (row, label) in labels.enumerated() { byClass[label].append(row) }
    var generator = SeededGenerator(seed: seed, stream: .probe, index: 4)
    all = byClass.filter { !$0.isEmpty }.map { rows in
      let order = generator.permutation(count: rows.count).prefix(DynamicsProbe.samplesPerClass)
      return Group(rows: rows, sampled: order.map { rows[$0] }.sorted())
    }
  }
}
