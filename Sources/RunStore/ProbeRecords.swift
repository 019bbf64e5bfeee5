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
    self.step = step
    self.split = split
    self.layer = layer
    self.m = m
    self.alphaUnbiasedLow = alphaUnbiasedLow
    self.alphaUnbiasedHigh = alphaUnbiasedHigh
    self.mCoherenceLow = mCoherenceLow
    self.mCoherenceHigh = mCoherenceHigh
    self.mCoherenceFromBatches = mCoherenceFromBatches
  }
}

extension CoherenceIntervalRecord: CSVRecord {
  static let columns = [
    "step", "split", "layer", "m", "alpha_unbiased_low", "alpha_unbiased_high", "m_coherence_low",
    "m_coherence_high", "m_coherence_from_batches",
  ]

  var cells: [String] {
    [
      CSV.cell(step), split, layer, CSV.cell(m), CSV.cell(alphaUnbiasedLow), CSV.cell(alphaUnbiasedHigh),
      CSV.cell(mCoherenceLow), CSV.cell(mCoherenceHigh), CSV.cell(mCoherenceFromBatches),
    ]
  }

  init(_ row: CSVRow) throws {
    self.init(
      step: try row.integer(0), split: row.string(1), layer: row.string(2), m: try row.integer(3),
      alphaUnbiasedLow: try row.double(4), alphaUnbiasedHigh: try row.double(5), mCoherenceLow: try row.double(6),
      mCoherenceHigh: try row.double(7), mCoherenceFromBatches: try row.optional(8, row.double))
  }
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
    self.step = step
    self.split = split
    self.measure = measure
    self.m = m
    self.value = value
  }
}

extension MeasureRecord: CSVRecord {
  static let columns = ["step", "split", "measure", "m", "value"]

  var cells: [String] { [CSV.cell(step), split, measure, CSV.cell(m), CSV.cell(value)] }

  init(_ row: CSVRow) throws {
    self.init(
      step: try row.integer(0), split: row.string(1), measure: row.string(2), m: try row.integer(3),
      value: try row.double(4))
  }
}
