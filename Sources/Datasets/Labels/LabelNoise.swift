// SPDX-License-Identifier: Apache-2.0

/// How corrupt labels are made.
public enum NoiseKind: String, Sendable, Codable, CaseIterable {
  /// Choose each label with probability ε and permute the labels among the chosen (Coherent Gradients §2). Class
  /// counts stay as they are; with ten balanced classes about 1/10 of the chosen keep their label.
  case permute
  /// With probability ε draw a label uniformly from all K classes, the true one included (Weak and Strong Gradient
  /// Directions §3). The expected realised rate is ε·(K − 1)/K.
  case uniform
  /// With probability ε change the label to the class that its own is usually confused with, by the `ClassMap` of the
  /// data set (Patrini et al. 2017, §5; Zhang and Sabuncu 2018, §4). Classes without an entry keep their labels: the
  /// expected realised rate is ε times the share of examples whose class has one, ε/2 for CIFAR-10.
  case asymmetric
  /// Change each label with a probability of its own to a class that depends on the picture (Xia et al. 2020,
  /// *Part-dependent Label Noise*, algorithm 2).
  ///
  /// Example i of class y is changed with probability qᵢ, normal with mean ε and standard deviation 0.1, drawn again
  /// until it lies in 0 ... 1. Its new class is c ≠ y with probability softmax(x·W_y)_c over the classes but y. x are
  /// the bytes of its picture, 0 ... 255 as in the authors' programs, of one shrunk to at most 32 × 32; W_y are
  /// standard normal numbers, features × classes, for each class y. The expected realised rate is the mean of qᵢ: ε,
  /// except within about 0.2 of 0 or 1, where the cut moves it inwards (0.13 at 0.1). ε = 0 is no noise.
  case instance
}

/// A recipe for label noise: kind, rate and seed. The same recipe gives the same labels, always.
///
/// Whether an example is chosen depends on (seed, index) alone, so at one seed the examples chosen at a lower rate are
/// also chosen at every higher one. (Of `instance` noise that is so except where its probabilities are cut at 0 or 1.)
public struct LabelNoise: Sendable, Equatable {
  /// How corrupt labels are made.
  public let kind: NoiseKind
  /// ε, the probability that a label is chosen, in 0 ... 1.
  public let rate: Double
  /// The seed of the choice and of the draw.
  public let seed: UInt64
  /// The seed of W in `instance` noise: which pictures are taken for which classes.
  let weightSeed: UInt64

  /// Creates a recipe.
  ///
  /// - Parameters:
  ///   - kind: how corrupt labels are made.
  ///   - rate: ε, in 0 ... 1.
  ///   - seed: the seed of the choice and of the draw.
  /// - Throws: `DatasetError` when the rate is not a number in 0 ... 1.
  public init(kind: NoiseKind, rate: Double, seed: UInt64) throws {
    guard rate >= 0, rate <= 1 else {
      throw DatasetError("The noise rate is \(rate), but it must be between 0 (none) and 1 (every label is chosen).")
    }
    (self.kind, self.rate, self.seed, weightSeed) = (kind, rate, seed, seed)
  }

  private init(_ other: LabelNoise, seed: UInt64) {
    (kind, rate, self.seed, weightSeed) = (other.kind, other.rate, seed, other.weightSeed)
  }

  /// The same noise for other examples, such as those to test on: a picture is taken for the same classes, but which
  /// examples are chosen is drawn anew, as otherwise the same places in the list would be.
  public var forOtherExamples: LabelNoise { LabelNoise(self, seed: ~seed) }

  /// Draws the noise of any kind, once.
  ///
  /// - Parameter dataset: its labels are the original ones; `asymmetric` noise also takes the names of its classes,
  ///   `instance` noise its pictures, of which those chosen are decoded once.
  /// - Throws: `DatasetError` when `instance` noise is asked for and the examples are no pictures, or a file cannot be
  ///   decoded.
  public func apply(to dataset: Dataset) throws -> NoisyLabels {
    let assigned: [Int]
    switch kind {
    case .permute, .uniform: return try apply(to: dataset.labels, classCount: dataset.classCount)
    case .asymmetric:
      let map = ClassMap(classNames: dataset.classNames)
      var choice = SeededGenerator(seed: seed, stream: .noiseChoice)
      assigned = dataset.labels.map { label in choice.unit() < rate ? map.targets[label] : label }
    case .instance: assigned = try InstanceNoise(self).labels(of: dataset)
    }
    return NoisyLabels(original: dataset.labels, assigned: assigned, kind: kind, rate: rate, seed: seed)
  }

  /// Draws noise that depends on nothing but the labels, once: `permute` or `uniform`.
  ///
  /// - Parameters:
  ///   - labels: the original labels, one for each example.
  ///   - classCount: K, the number of classes.
  /// - Throws: `DatasetError` when a label is not in 0 ..< `classCount`, or the kind is another.
  public func apply(to labels: [Int], classCount: Int) throws -> NoisyLabels {
    try checkLabels(labels, classCount: classCount) { "The original label of example \($0)" }
    var choice = SeededGenerator(seed: seed, stream: .noiseChoice)
    var draw = SeededGenerator(seed: seed, stream: .noiseDraw)
    var assigned = labels
    switch kind {
    case .permute:
      let chosen = labels.indices.filter { _ in choice.unit() < rate }
      let order = draw.permutation(count: chosen.count)
      for (place, from) in zip(chosen, order) { assigned[place] = labels[chosen[from]] }
    case .uniform:
      for index in labels.indices {
        // Drawn for every example, chosen or not: a higher rate then only adds flips.
        let label = draw.integer(below: classCount)
        if choice.unit() < rate { assigned[index] = label }
      }
    case .asymmetric, .instance:
      throw DatasetError(
        "Noise of the kind \(kind.rawValue) cannot be drawn from labels alone.",
        remedy: "Give the data set: LabelNoise.apply(to: dataset).")
    }
    return NoisyLabels(original: labels, assigned: assigned, kind: kind, rate: rate, seed: seed)
  }
}

/// Original and assigned labels side by side. *Corrupt* means that the label actually changed, *pristine* that it did
/// not.
public struct NoisyLabels: Sendable, Equatable {
  /// The labels of the data set.
  public let original: [Int]
  /// The labels to train on.
  public let assigned: [Int]
  /// The kind of noise; nil when the labels came from elsewhere, such as a label file.
  public let kind: NoiseKind?
  /// ε, the rate asked for; nil when the labels came from elsewhere.
  public let rate: Double?
  /// The seed of the noise; nil when the labels came from elsewhere.
  public let seed: UInt64?

  init(original: [Int], assigned: [Int], kind: NoiseKind?, rate: Double?, seed: UInt64?) {
    (self.original, self.assigned, self.kind) = (original, assigned, kind)
    (self.rate, self.seed) = (rate, seed)
  }

  /// Labels that came from elsewhere, compared with the original ones.
  ///
  /// - Throws: `DatasetError` when the two have different lengths.
  public init(original: [Int], assigned: [Int]) throws {
    guard original.count == assigned.count else {
      throw DatasetError("\(assigned.count) labels were given for \(original.count) examples.")
    }
    self.init(original: original, assigned: assigned, kind: nil, rate: nil, seed: nil)
  }

  /// Labels without noise: every example is pristine.
  public init(clean labels: [Int]) { self.init(original: labels, assigned: labels, kind: nil, rate: nil, seed: nil) }

  /// Number of examples.
  public var count: Int { original.count }

  /// Whether the label of example `index` was changed; false for an index that does not exist.
  public func isCorrupt(_ index: Int) -> Bool { original.indices.contains(index) && original[index] != assigned[index] }

  /// The examples whose label was changed, ascending.
  public var corruptIndices: [Int] { original.indices.filter { original[$0] != assigned[$0] } }

  /// The examples whose label was kept, ascending.
  public var pristineIndices: [Int] { original.indices.filter { original[$0] == assigned[$0] } }

  /// Number of examples whose label was changed.
  public var corruptCount: Int { zip(original, assigned).count { $0 != $1 } }

  /// The share of examples whose label was changed, in 0 ... 1; at most ε in expectation. 0 without examples.
  public var realisedRate: Double { count == 0 ? 0 : Double(corruptCount) / Double(count) }
}
