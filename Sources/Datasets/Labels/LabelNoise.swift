// SPDX-License-Identifier: Apache-2.0

/// How corrupt labels are made.
public enum NoiseKind: String, Sendable, Codable, CaseIterable {
  /// Choose each label with probability ε and permute the labels among the chosen (Coherent Gradients §2). Class
  /// counts stay as they are; with ten balanced classes about 1/10 of the chosen keep their label.
  case permute
  /// With probability ε draw a label uniformly from all K classes, the true one included (Weak and Strong Gradient
  /// Directions §3). The expected realised rate is ε·(K − 1)/K.
  case uniform
}

/// A recipe for label noise: kind, rate and seed. The same recipe gives the same labels, always.
///
/// Whether an example is chosen depends on (seed, index) alone, so at one seed the examples chosen at a lower rate are
/// also chosen at every higher one.
public struct LabelNoise: Sendable, Equatable {
  /// How corrupt labels are made.
  public let kind: NoiseKind
  /// ε, the probability that a label is chosen, in 0 ... 1.
  public let rate: Double
  /// The seed of the choice and of the draw.
  public let seed: UInt64

  /// Creates a recipe.
  ///
  /// - Throws: `DatasetError` when the rate is not a number in 0 ... 1.
  public init(kind: NoiseKind, rate: Double, seed: UInt64) throws {
    guard rate >= 0, rate <= 1 else {
      throw DatasetError("The noise rate is \(rate), but it must be between 0 (none) and 1 (every label is chosen).")
    }
    (self.kind, self.rate, self.seed) = (kind, rate, seed)
  }

  /// Draws the noise, once.
  ///
  /// - Parameters:
  ///   - labels: the original labels, one for each example.
  ///   - classCount: K, the number of classes.
  /// - Throws: `DatasetError` when a label is not in 0 ..< `classCount`.
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
