// SPDX-License-Identifier: Apache-2.0

/// The 95 % confidence interval of one layer's coherence at one moment: a line of `coherence-intervals.csv`. A layer
/// whose interval is undefined (every gradient is 0, or there are too few examples) has no line.
public struct CoherenceIntervalRecord: Sendable, Equatable {
  /// Optimizer steps so far.
  public var step: Int
  /// The split measured.
  public var split: String
  /// The layer's name, or `all` for the whole network.
  public var layer: String
  /// How many examples were measured.
  public var m: Int
  /// The lower end for the unbiased estimate of α.
  public var alphaUnbiasedLow: Double
  /// The upper end for the unbiased estimate of α.
  public var alphaUnbiasedHigh: Double
  /// The lower end for the m-coherence.
  public var mCoherenceLow: Double
  /// The upper end for the m-coherence.
  public var mCoherenceHigh: Double
  /// The m-coherence as estimated from the gradients of batches alone; on layer `all` only.
  public var mCoherenceFromBatches: Double?

  /// A record from its fields.
  public init(
    step: Int, split: String, layer: String = "all", m: Int, alphaUnbiasedLow: Double, alphaUnbiasedHigh: Double,
    mCoherenceLow: Double, mCoherenceHigh: Double, mCoherenceFromBatches: Double? = nil
  ) {
    (self.step, self.split, self.layer, self.m) = (step, split, layer, m)
    (self.alphaUnbiasedLow, self.alphaUnbiasedHigh) = (alphaUnbiasedLow, alphaUnbiasedHigh)
    (self.mCoherenceLow, self.mCoherenceHigh) = (mCoherenceLow, mCoherenceHigh)
    self.mCoherenceFromBatches = mCoherenceFromBatches
  }
}

extension CoherenceIntervalRecord: LogRecord {
  /// The columns.
  public static let schema = CSVSchema<CoherenceIntervalRecord>(
    Column("step", \.step), Column("split", \.split), Column("layer", \.layer), Column("m", \.m),
    Column("alpha_unbiased_low", \.alphaUnbiasedLow), Column("alpha_unbiased_high", \.alphaUnbiasedHigh),
    Column("m_coherence_low", \.mCoherenceLow), Column("m_coherence_high", \.mCoherenceHigh),
    Column("m_coherence_from_batches", \.mCoherenceFromBatches),
    make: CoherenceIntervalRecord.init)

  /// The intervals.
  public static let log = Log<CoherenceIntervalRecord>("coherence-intervals.csv")
}

/// One number beside coherence at one moment, such as stiffness or the bound of the stability accountant: a line of
/// `measures.csv`. A measure that is undefined at a step has no line.
public struct MeasureRecord: Sendable, Equatable {
  /// Optimizer steps so far.
  public var step: Int
  /// The split measured.
  public var split: String
  /// What was measured, such as `stiffness_cosine_within` or `noise_scale`.
  public var measure: String
  /// How many examples were measured.
  public var m: Int
  /// Its value.
  public var value: Double

  /// A record from its fields.
  public init(step: Int, split: String, measure: String, m: Int, value: Double) {
    (self.step, self.split, self.measure) = (step, split, measure)
    (self.m, self.value) = (m, value)
  }
}

extension MeasureRecord: LogRecord {
  /// The columns.
  public static let schema = CSVSchema<MeasureRecord>(
    Column("step", \.step), Column("split", \.split), Column("measure", \.measure), Column("m", \.m),
    Column("value", \.value),
    make: MeasureRecord.init)

  /// All measures; in TensorBoard as `noise_scale/train`, ...
  public static let log = Log<MeasureRecord>("measures.csv") { [("\($0.measure)/\($0.split)", $0.value)] }
}

/// How many training examples are classified otherwise than at the last measurement: a line of `prediction-changes.csv`.
public struct PredictionChangesRecord: Sendable, Equatable {
  /// Optimizer steps so far.
  public var step: Int
  /// How many examples were looked at.
  public var m: Int
  /// Those with another prediction than before; nil at the first measurement.
  public var changed: Int?
  /// Those with the prediction that is their label.
  public var agreeing: Int

  /// A record from its fields.
  public init(step: Int, m: Int, changed: Int?, agreeing: Int) {
    (self.step, self.m, self.changed, self.agreeing) = (step, m, changed, agreeing)
  }
}

extension PredictionChangesRecord: LogRecord {
  /// The columns.
  public static let schema = CSVSchema<PredictionChangesRecord>(
    Column("step", \.step), Column("m", \.m), Column("changed", \.changed), Column("agreeing", \.agreeing),
    make: PredictionChangesRecord.init)

  /// The changes; in TensorBoard as a share, `prediction_changes/train`.
  public static let log = Log<PredictionChangesRecord>("prediction-changes.csv") { record in
    [("prediction_changes/train", record.changed.map { Double($0) / Double(record.m) })]
  }
}
