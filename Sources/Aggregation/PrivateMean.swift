// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors

/// The mean of differentially private SGD: every example's gradient is shortened to length C, their sum gets Gaussian noise
/// of standard deviation σ·C in every coordinate, and the whole is divided by the expected number of examples B:
///
///     (Σᵢ gᵢ·min(1, C/‖gᵢ‖) + σC·N(0, I))/B
///
/// (Abadi et al., Deep Learning with Differential Privacy, 2016, algorithm 1; C clips the whole gradient at once). What that
/// promises rests on how examples get into a step: each by itself with probability q = B/n, so that a step may see any
/// number of them, also none (`BatchSampler.Sampling.poisson`). The divisor is B whatever their number, which would tell
/// about single examples. `PrivacyAccountant` says what all steps together reveal.
///
/// The lengths come from the factored gradient matrix, the sum from one weighted column sum: no example's gradient is
/// stored. Frozen parameters do not count in a length where they are all of a layer's; where they are a part of them, the
/// layer counts whole, which shortens more than is needed.
public final class PrivateMean: GradientMatrixAggregator {
  /// What decides the noise.
  public enum Noise: Sendable, Equatable {
    /// σ itself; 0 for none, which promises nothing.
    case multiplier(Double)
    /// The ε that all steps of the run together stay within: σ is solved from their number.
    case budget(epsilon: Double)
  }

  /// C.
  public let clip: Double
  /// What decides σ.
  public let noise: Noise
  /// δ, the probability at which ε is stated.
  public let delta: Double
  /// Counts what steps reveal; nil before `prepare`.
  public private(set) var accountant: PrivacyAccountant?
  /// The private steps made, over all parts of a resumed run.
  public private(set) var steps = 0
  /// B; nil before `prepare`.
  private var expectedCount: Int?
  /// Of the noise; each step has a stream of its own.
  private var seed: UInt64 = 0
  /// The steps counted, what they were made with, and the seed of the noise.
  public private(set) var state: [(name: String, tensor: Tensor)] = []

  /// The δ where none is given; it should be well below 1/n.
  public static let usualDelta = 1e-5

  /// - Throws: `AggregationError` unless C > 0, σ ≥ 0 or ε > 0, and 0 < δ < 1.
  public init(clip: Double, noise: Noise, delta: Double = usualDelta) throws {
    guard clip > 0, clip.isFinite else {
      throw AggregationError("clip, the length that a gradient may have, must be a number above 0, not \(clip)")
    }
    switch noise {
    case .multiplier(let sigma):
      guard sigma >= 0, sigma.isFinite else {
        throw AggregationError("noise, in units of clip, must be a number of at least 0, not \(sigma)")
      }
    case .budget(let epsilon):
      guard epsilon > 0, epsilon.isFinite else {
        throw AggregationError("epsilon must be a number above 0, not \(epsilon)")
      }
    }
    guard delta > 0, delta < 1 else {
      throw AggregationError("delta must be above 0 and below 1, such as 1e-5, not \(delta)")
    }
    (self.clip, self.noise, self.delta) = (clip, noise, delta)
  }

  /// Such as "dp-sgd:clip=1,noise=1.1" or "dp-sgd:clip=1,epsilon=3,delta=1e-05".
  public var description: String {
    switch noise {
    case .multiplier(let sigma):
      "dp-sgd:clip=\(shortest(clip)),noise=\(shortest(sigma))" + (delta == Self.usualDelta ? "" : ",delta=\(delta)")
    case .budget(let epsilon): "dp-sgd:clip=\(shortest(clip)),epsilon=\(shortest(epsilon)),delta=\(delta)"
    }
  }

  /// True.
  public var isPrivate: Bool { true }

  /// Fixes what depends on the run: σ from a budget, and the stream of noise. Whoever knows the run's seed can take the
  /// noise off again.
  ///
  /// - Throws: `AggregationError` when no noise keeps the steps within the budget; `TensorError`.
  public func prepare(for run: AggregatedRun) throws {
    let rate = Double(run.batchSize) / Double(max(run.exampleCount, 1))
    let sigma =
      switch noise {
      case .multiplier(let sigma): sigma
      case .budget(let epsilon):
        try PrivacyAccountant.noiseMultiplier(epsilon: epsilon, delta: delta, sampleRate: rate, steps: run.plannedSteps)
      }
    accountant = try PrivacyAccountant(noiseMultiplier: sigma, sampleRate: rate)
    (seed, expectedCount, steps) = (run.seed, run.batchSize, 0)
    try noteState()
  }

  /// ε of the steps made, or of so many; infinite without noise, and before `prepare`.
  public func epsilon(steps: Int? = nil) -> Double {
    accountant?.epsilon(steps: steps ?? self.steps, delta: delta) ?? .infinity
  }

  /// The shortened gradients' sum with noise, divided by the expected number of examples.
  public func aggregate(_ matrix: GradientMatrix, _ store: ParameterStore) throws {
    let count = try prepared().expectedCount
    let weights = try lengths(of: matrix, store).map { min(1, clip / $0) / Double(count) }
    try matrix.columnSum(
      into: store.gradient, weights: Tensor(weights).to(store.gradient.dtype).to(device: store.gradient.device))
    try finish(store)
  }

  /// Noise alone.
  public func aggregateNothing(_ store: ParameterStore) throws -> Aggregate {
    try store.gradient.fill(0)
    try finish(store)
    return .gradient
  }

  /// ‖gᵢ‖ over what is trained, [B].
  private func lengths(of matrix: GradientMatrix, _ store: ParameterStore) throws -> [Double] {
    guard store.frozenCount > 0 else { return try matrix.rowSquaredNorms().total.map { $0.squareRoot() } }
    let trained = store.trainedRanges
    var squares = [Double](repeating: 0, count: matrix.exampleCount)
    for layer in matrix.layers where layer.ranges.contains(where: { range in trained.contains { $0.overlaps(range) } })
    {
      let own: [Double] = try layer.block.rowSquaredNorms().values()
      for place in squares.indices { squares[place] += own[place] }
    }
    return squares.map { $0.squareRoot() }
  }

  private func prepared() throws -> (accountant: PrivacyAccountant, expectedCount: Int) {
    guard let accountant, let expectedCount else {
      throw AggregationError("\(self) needs to know the run before its first step: call prepare")
    }
    return (accountant, expectedCount)
  }

  /// Adds the noise, and counts the step.
  private func finish(_ store: ParameterStore) throws {
    let (accountant, expectedCount) = try prepared()
    let deviation = accountant.noiseMultiplier * clip / Double(expectedCount)
    if deviation > 0 {
      try store.gradient.addGaussian(standardDeviation: deviation, seed: seed, stream: UInt64(steps))
    }
    steps += 1
    try noteState()
  }

  private func noteState() throws {
    let accountant = try prepared().accountant
    state = [
      ("steps", try Tensor([steps])),
      ("mechanism", try Tensor([accountant.noiseMultiplier, clip, accountant.sampleRate])),
      ("noise", try Tensor([Int(bitPattern: UInt(seed))])),
    ]
  }

  /// Continues the count and the noise. σ becomes that of the checkpoint, which another machine may have solved with other
  /// last bits.
  ///
  /// - Throws: `AggregationError` when the earlier steps were not private, or private in another way: what they revealed
  ///   cannot be counted as if they were these.
  public func restore(_ arrays: [String: Tensor], afterSteps steps: Int, _ store: ParameterStore) throws {
    let accountant = try prepared().accountant
    guard let counted: [Int] = try arrays["steps"]?.values(), counted == [steps],
      let noise: [Int] = try arrays["noise"]?.values(), noise.count == 1,
      let mechanism: [Double] = try arrays["mechanism"]?.values(), mechanism.count == 3
    else {
      throw AggregationError(
        "the checkpoint does not count \(steps) private steps: it was written with another optimizer")
    }
    let own = [accountant.noiseMultiplier, clip, accountant.sampleRate]
    for (place, name) in ["noise", "clip", "share of the examples in a step"].enumerated()
    where !(abs(mechanism[place] - own[place]) <= 1e-5 * own[place]) {
      var text = "the run's private steps were made with the \(name) \(mechanism[place]), not \(own[place])"
      if case .budget = self.noise, place == 0 {
        text += ": its noise was chosen for another number of steps; keep that number, or start another run"
      }
      throw AggregationError(text)
    }
    seed = UInt64(UInt(bitPattern: noise[0]))
    self.accountant = try PrivacyAccountant(noiseMultiplier: mechanism[0], sampleRate: accountant.sampleRate)
    self.steps = steps
    try noteState()
  }
}
