// SPDX-License-Identifier: Apache-2.0

/// Loss and accuracy of one group of examples at one moment: a line of `metrics.csv`.
public struct MetricRecord: Sendable, Equatable {
  /// Passes over the training set so far, with fractions.
  public var epoch: Double
  /// Optimizer steps so far.
  public var step: Int
  /// The split measured: `train`, `test` or `validation`.
  public var split: String
  /// The group inside the split: `all`, `pristine`, `corrupt`, or one of the split file's.
  public var group: String
  /// How many examples were measured.
  public var count: Int
  /// The mean loss per example, in nats.
  public var loss: Double
  /// The share of examples whose most probable class is their label, from 0 to 1.
  public var accuracy1: Double
  /// The share of examples whose label is among the five most probable classes, from 0 to 1.
  public var accuracy5: Double?

  /// A record from its fields.
  public init(
    epoch: Double, step: Int, split: String, group: String = "all", count: Int, loss: Double, accuracy1: Double,
    accuracy5: Double? = nil
  ) {
    (self.epoch, self.step, self.split, self.group) = (epoch, step, split, group)
    (self.count, self.loss, self.accuracy1, self.accuracy5) = (count, loss, accuracy1, accuracy5)
  }
}

extension MetricRecord: LogRecord {
  /// The columns.
  public static let schema = CSVSchema<MetricRecord>(
    Column("epoch", \.epoch, in: RecordRange.amount), Column("step", \.step), Column("split", \.split),
    Column("group", \.group),
    Column("count", \.count), Column("loss", \.loss), Column("acc1", \.accuracy1, in: RecordRange.measuredShare),
    Column("acc5", \.accuracy5, in: RecordRange.measuredShare),
    make: MetricRecord.init)

  /// Every evaluation; in TensorBoard as `loss/train`, `accuracy/train/pristine`, ...
  public static let log = Log<MetricRecord>("metrics.csv", isInEveryRun: true) { record in
    let place = record.group == "all" ? record.split : "\(record.split)/\(record.group)"
    return [
      ("loss/\(place)", record.loss), ("accuracy/\(place)", record.accuracy1), ("accuracy5/\(place)", record.accuracy5),
    ]
  }
}

/// The agreement of per-example gradients of one layer at one moment: a line of `coherence.csv`.
public struct CoherenceRecord: Sendable, Equatable {
  /// Optimizer steps so far.
  public var step: Int
  /// The split measured.
  public var split: String
  /// The layer's name, or `all` for the whole network.
  public var layer: String
  /// How many examples were measured.
  public var m: Int
  /// α = ‖Gᵀ1‖² / (m ‖G‖²_F), from 0 to 1.
  public var alpha: Double?
  /// m-coherence = m·α, from 0 to m.
  public var mCoherence: Double?
  /// The unbiased estimate of α.
  public var alphaUnbiased: Double?
  /// The layer's share of Σ‖gᵢ‖², from 0 to 1.
  public var share: Double?
  /// How batch norm was treated: `running`, `batch`, or `none` for a network without it.
  public var batchNormPolicy: String

  /// A record from its fields.
  public init(
    step: Int, split: String, layer: String = "all", m: Int, alpha: Double?, mCoherence: Double?,
    alphaUnbiased: Double? = nil, share: Double? = nil, batchNormPolicy: String
  ) {
    (self.step, self.split, self.layer, self.m) = (step, split, layer, m)
    (self.alpha, self.mCoherence, self.alphaUnbiased) = (alpha, mCoherence, alphaUnbiased)
    (self.share, self.batchNormPolicy) = (share, batchNormPolicy)
  }
}

extension CoherenceRecord: LogRecord {
  /// The columns.
  public static let schema = CSVSchema<CoherenceRecord>(
    Column("step", \.step), Column("split", \.split), Column("layer", \.layer), Column("m", \.m),
    Column("alpha", \.alpha, in: RecordRange.measuredShare),
    Column("m_coherence", \.mCoherence, in: RecordRange.amount),
    Column("alpha_unbiased", \.alphaUnbiased),
    Column("share", \.share, in: RecordRange.measuredShare), Column("bn_policy", \.batchNormPolicy),
    make: CoherenceRecord.init)

  /// Every measurement; in TensorBoard as `alpha/train`, `m_coherence/train/LAYER`, ...
  public static let log = Log<CoherenceRecord>("coherence.csv", isInEveryRun: true) { record in
    let place = record.layer == "all" ? record.split : "\(record.split)/\(record.layer)"
    return [
      ("alpha/\(place)", record.alpha), ("m_coherence/\(place)", record.mCoherence),
      ("alpha_unbiased/\(place)", record.alphaUnbiased), ("share/\(place)", record.share),
    ]
  }
}

/// What pristine and corrupt examples contribute to the reduction of the loss at one moment, in the real world or in a
/// permutation null (Coherent Gradients, §2.4): a line of `contributions.csv`.
public struct ContributionRecord: Sendable, Equatable {
  /// Optimizer steps so far.
  public var step: Int
  /// What was summed over: `paper` for 400 examples × 300 weights a layer, `population` for every example of the probe
  /// and every weight.
  public var sample: String
  /// 0 for the actual designations; 1, 2, ... for permutation nulls, in which they are permuted among the examples.
  public var world: Int
  /// fᵖ = ⟨g, gᵖ⟩/⟨g, g⟩; `nil` when ⟨g, g⟩ = 0.
  public var pristineShare: Double?
  /// fᶜ = ⟨g, gᶜ⟩/⟨g, g⟩ = 1 − fᵖ; `nil` when ⟨g, g⟩ = 0.
  public var corruptShare: Double?
  /// iᵖ: Σ over steps so far of the mean of ⟨gᵢ, ḡ⟩ over pristine examples; `nil` without such examples.
  public var pristineCumulative: Double?
  /// iᶜ: the same over corrupt examples; `nil` without such examples.
  public var corruptCumulative: Double?

  /// A record from its fields.
  public init(
    step: Int, sample: String, world: Int = 0, pristineShare: Double?, corruptShare: Double?,
    pristineCumulative: Double?, corruptCumulative: Double?
  ) {
    (self.step, self.sample, self.world, self.pristineShare) = (step, sample, world, pristineShare)
    (self.corruptShare, self.pristineCumulative) = (corruptShare, pristineCumulative)
    self.corruptCumulative = corruptCumulative
  }
}

extension ContributionRecord: LogRecord {
  /// The columns.
  public static let schema = CSVSchema<ContributionRecord>(
    Column("step", \.step), Column("sample", \.sample), Column("world", \.world),
    Column("f_pristine", \.pristineShare), Column("f_corrupt", \.corruptShare),
    Column("i_pristine", \.pristineCumulative), Column("i_corrupt", \.corruptCumulative),
    make: ContributionRecord.init)

  /// Actual and permuted designations; the actual ones in TensorBoard as `f_pristine/paper`, `i_corrupt/population`, ...
  public static let log = Log<ContributionRecord>("contributions.csv") { record in
    guard record.world == 0 else { return [] }
    return [
      ("f_pristine/\(record.sample)", record.pristineShare), ("f_corrupt/\(record.sample)", record.corruptShare),
      ("i_pristine/\(record.sample)", record.pristineCumulative),
      ("i_corrupt/\(record.sample)", record.corruptCumulative),
    ]
  }
}

/// By how much a pass over the training set lowers an example's loss, to first order and for a learning rate of 1: a line
/// of `push.csv`.
public struct PushRecord: Sendable, Equatable {
  /// Optimizer steps so far.
  public var step: Int
  /// The example's place in the data set, from 0.
  public var index: Int
  /// Whether noise changed its label.
  public var isCorrupt: Bool
  /// The aggregator, such as `rm3`, at the same weights.
  public var aggregator: String
  /// Through itself, when its turn comes.
  public var own: Double
  /// Through the others.
  public var others: Double
  /// Both together; below 0 a pass raises the loss.
  public var net: Double { own + others }

  /// A record from its fields.
  public init(step: Int, index: Int, isCorrupt: Bool, aggregator: String, own: Double, others: Double) {
    (self.step, self.index, self.isCorrupt, self.aggregator) = (step, index, isCorrupt, aggregator)
    (self.own, self.others) = (own, others)
  }
}

extension PushRecord: LogRecord {
  /// The columns.
  public static let schema = CSVSchema<PushRecord>(
    Column("step", \.step), Column("index", \.index), Column("is_corrupt", \.isCorrupt),
    Column("aggregator", \.aggregator), Column("own", \.own), Column("others", \.others), Column("net", \.net),
    make: { step, index, isCorrupt, aggregator, own, others, _ in
      PushRecord(step: step, index: index, isCorrupt: isCorrupt, aggregator: aggregator, own: own, others: others)
    })

  /// The ledger.
  public static let log = Log<PushRecord>("push.csv")
}

/// The label of one training example before and after noise: a line of `labels.csv`.
public struct LabelRecord: Sendable, Equatable {
  /// The example's place in the data set, from 0.
  public var index: Int
  /// The class in the data set.
  public var original: Int
  /// The class trained on.
  public var assigned: Int

  /// The example's file, by its path below the data folder; `nil` where the data set is no folder of pictures.
  public var file: String?

  /// Whether noise changed the label.
  public var isCorrupt: Bool { original != assigned }

  /// A record from its fields.
  public init(index: Int, original: Int, assigned: Int, file: String? = nil) {
    (self.index, self.original, self.assigned, self.file) = (index, original, assigned, file)
  }
}

extension LabelRecord: CSVRecord {
  /// The columns.
  public static let schema = CSVSchema<LabelRecord>(
    Column("index", \.index), Column("original", \.original), Column("assigned", \.assigned),
    Column("is_corrupt", \.isCorrupt), Column("file", \.file, isTrailing: true),
    make: { index, original, assigned, isCorrupt, file in
      let record = LabelRecord(index: index, original: original, assigned: assigned, file: file)
      guard isCorrupt == record.isCorrupt else {
        throw CSVSchemaError(
          message: "column is_corrupt is \(isCorrupt.cell), but the labels are \(original) and \(assigned).",
          remedy: "Correct this line: is_corrupt is 1 exactly when the two labels differ.")
      }
      return record
    })
}

/// The name of a class: a line of `classes.csv`.
struct ClassRecord: Sendable, Equatable {
  /// The class, from 0.
  var number: Int
  /// Its name in the data set.
  var name: String
}

extension ClassRecord: CSVRecord {
  static let schema = CSVSchema<ClassRecord>(Column("class", \.number), Column("name", \.name), make: ClassRecord.init)
}

/// A file of the data set that was left out because it cannot be used: a line of `skipped.csv`.
public struct SkippedRecord: Sendable, Equatable {
  /// Its path below the data folder.
  public var path: String
  /// Why, as a clause.
  public var reason: String

  /// A record from its fields.
  public init(path: String, reason: String) {
    self.path = path
    self.reason = reason
  }
}

extension SkippedRecord: CSVRecord {
  /// The columns.
  public static let schema = CSVSchema<SkippedRecord>(
    Column("path", \.path), Column("reason", \.reason), make: SkippedRecord.init)
}

/// What training did with one example: a line of `examples.csv`.
public struct ExampleRecord: Sendable, Equatable {
  /// The example's place in the data set, from 0.
  public var index: Int
  /// The class trained on.
  public var label: Int
  /// Whether noise changed the label.
  public var isCorrupt: Bool
  /// The first step at which the example was classified as its label; `nil` when that never happened.
  public var firstLearned: Int?
  /// The step since which it has been classified as its label without a break; `nil` when it is not.
  public var lastLearned: Int?
  /// How often it went from right to wrong.
  public var forgettingEvents: Int
  /// Its loss at the end, in nats.
  public var finalLoss: Double?
  /// Whether it is classified as its label at the end.
  public var finalCorrect: Bool?
  /// The example's file, by its path below the data folder; `nil` where the data set is no folder of pictures.
  public var file: String?

  /// A record from its fields.
  public init(
    index: Int, label: Int, isCorrupt: Bool, firstLearned: Int? = nil, lastLearned: Int? = nil,
    forgettingEvents: Int = 0, finalLoss: Double? = nil, finalCorrect: Bool? = nil, file: String? = nil
  ) {
    (self.index, self.label, self.isCorrupt, self.firstLearned) = (index, label, isCorrupt, firstLearned)
    (self.lastLearned, self.forgettingEvents, self.finalLoss) = (lastLearned, forgettingEvents, finalLoss)
    (self.finalCorrect, self.file) = (finalCorrect, file)
  }
}

extension ExampleRecord: CSVRecord {
  /// The columns.
  public static let schema = CSVSchema<ExampleRecord>(
    Column("index", \.index), Column("label", \.label), Column("is_corrupt", \.isCorrupt),
    Column("first_learned", \.firstLearned), Column("last_learned", \.lastLearned),
    Column("forgetting_events", \.forgettingEvents), Column("final_loss", \.finalLoss),
    Column("final_correct", \.finalCorrect), Column("file", \.file, isTrailing: true),
    formerNames: ["sample_id": "index"], make: ExampleRecord.init)
}
