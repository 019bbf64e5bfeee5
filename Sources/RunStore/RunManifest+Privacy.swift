// SPDX-License-Identifier: Apache-2.0

extension RunManifest {
  /// What a private training promises: the weights after `steps` steps are (ε, δ)-differentially private, where data sets
  /// that differ in one example are neighbours.
  public struct Privacy: Codable, Sendable, Equatable {
    /// C: the length that an example's gradient may have.
    public var clip: Double
    /// σ: the noise's standard deviation over C.
    public var noiseMultiplier: Double
    /// q: with what probability a step sees an example.
    public var sampleRate: Double
    /// How examples get into steps: "poisson", each by itself.
    public var sampler: String
    /// Which data sets are neighbours: "add or remove one example".
    public var neighbours: String
    /// What counts: "rdp", Rényi differential privacy.
    public var accountant: String
    /// δ.
    public var delta: Double
    /// The steps counted.
    public var steps: Int
    /// ε of these; nil without noise, which promises nothing.
    public var epsilon: Double?
    /// ε of all steps planned; nil without noise.
    public var plannedEpsilon: Double?
    /// The ε that σ was solved for; nil where σ was given.
    public var targetEpsilon: Double?

    /// A promise from its fields.
    public init(
      clip: Double, noiseMultiplier: Double, sampleRate: Double, sampler: String = "poisson",
      neighbours: String = "add or remove one example", accountant: String = "rdp", delta: Double, steps: Int,
      epsilon: Double?, plannedEpsilon: Double?, targetEpsilon: Double? = nil
    ) {
      (self.clip, self.noiseMultiplier, self.sampleRate) = (clip, noiseMultiplier, sampleRate)
      (self.sampler, self.neighbours, self.accountant) = (sampler, neighbours, accountant)
      (self.delta, self.steps, self.epsilon) = (delta, steps, epsilon)
      (self.plannedEpsilon, self.targetEpsilon) = (plannedEpsilon, targetEpsilon)
    }

    private enum CodingKeys: String, CodingKey {
      case clip, sampler, neighbours, accountant, delta, steps, epsilon
      case noiseMultiplier = "noise_multiplier"
      case sampleRate = "sample_rate"
      case plannedEpsilon = "planned_epsilon"
      case targetEpsilon = "target_epsilon"
    }

    func check(_ check: NumberCheck) throws {
      try check.require(sampleRate, "privacy.sample_rate", in: RecordRange.share)
      try check.require(delta, "privacy.delta", in: RecordRange.share)
      try check.require(steps, "privacy.steps", in: RecordRange.whole)
      let amounts: [(Double?, String)] = [
        (clip, "clip"), (noiseMultiplier, "noise_multiplier"), (epsilon, "epsilon"),
        (plannedEpsilon, "planned_epsilon"), (targetEpsilon, "target_epsilon"),
      ]
      for (amount, key) in amounts { try check.requireFinite(amount, "privacy." + key) }
    }
  }
}
