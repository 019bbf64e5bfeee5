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
    self.epoch = epoch
    self.step = step
    self.split = split
    self.group = group
    self.count = count
    self.loss = loss
    self.accuracy1 = accuracy1
    self.accuracy5 = accuracy5
  }
}

extension MetricRecord: CSVRecord {
  static let columns = ["epoch", "step", "split", "group", "count", "loss", "acc1", "acc5"]

  var cells: [String] {
    [
      CSV.cell(epoch), CSV.cell(step), split, group, CSV.cell(count), CSV.cell(loss), CSV.cell(accuracy1),
      CSV.cell(accuracy5),
    ]
  }

  init(_ row: CSVRow) throws {
    self.init(
      epoch: try row.double(0), step: try row.integer(1), split: row.string(2), group: row.string(3),
      count: try row.integer(4), loss: try row.double(5), accuracy1: try row.double(6),
      accuracy5: try row.optional(7, row.double))
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
    self.step = step
    self.split = split
    self.layer = layer
    self.m = m
    self.alpha = alpha
    self.mCoherence = mCoherence
    self.alphaUnbiased = alphaUnbiased
    self.share = share
    self.batchNormPolicy = batchNormPolicy
  }
}

extension CoherenceRecord: CSVRecord {
  static let columns = [
    "step", "split", "layer", "m", "alpha", "m_coherence", "alpha_unbiased", "share", "bn_policy",
  ]

  var cells: [String] {
    [
      CSV.cell(step), split, layer, CSV.cell(m), CSV.cell(alpha), CSV.cell(mCoherence), CSV.cell(alphaUnbiased),
      CSV.cell(share), batchNormPolicy,
    ]
  }

  init(_ row: CSVRow) throws {
    self.init(
      step: try row.integer(0), split: row.string(1), layer: row.string(2), m: try row.integer(3),
      alpha: try row.optional(4, row.double), mCoherence: try row.optional(5, row.double),
      alphaUnbiased: try row.optional(6, row.double), share: try row.optional(7, row.double),
      batchNormPolicy: row.string(8))
  }
}

/// What pristine and corrupt examples contribute to the reduction of the loss at one moment, in the real world or in a
/// null world (Coherent Gradients, §2.4): a line of `contributions.csv`.
public struct ContributionRecord: Sendable, Equatable {
  /// Optimizer steps so far.
  public var step: Int
  /// What was summed over: `paper` for 400 examples × 300 weights a layer, `population` for every example of the probe
  /// and every weight.
  public var sample: String
  /// 0 for the actual designations; 1, 2, ... for null worlds, in which they are permuted among the examples.
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
    self.step = step
    self.sample = sample
    self.world = world
    self.pristineShare = pristineShare
    self.corruptShare = corruptShare
    self.pristineCumulative = pristineCumulative
    self.corruptCumulative = corruptCumulative
  }
}

extension ContributionRecord: CSVRecord {
  static let columns = ["step", "sample", "world", "f_pristine", "f_corrupt", "i_pristine", "i_corrupt"]

  var cells: [String] {
    [
      CSV.cell(step), sample, CSV.cell(world), CSV.cell(pristineShare), CSV.cell(corruptShare),
      CSV.cell(pristineCumulative), CSV.cell(corruptCumulative),
    ]
  }

  init(_ row: CSVRow) throws {
    self.init(
      step: try row.integer(0), sample: row.string(1), world: try row.integer(2),
      pristineShare: try row.optional(3, row.double), corruptShare: try row.optional(4, row.double),
      pristineCumulative: try row.optional(5, row.double), corruptCumulative: try row.optional(6, row.double))
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

extension PushRecord: CSVRecord {
  static let columns = ["step", "index", "is_corrupt", "aggregator", "own", "others", "net"]

  var cells: [String] {
    [
      CSV.cell(step), CSV.cell(index), isCorrupt ? "1" : "0", aggregator, CSV.cell(own), CSV.cell(others),
      CSV.cell(net),
    ]
  }

  init(_ row: CSVRow) throws {
    self.init(
      step: try row.integer(0), index: try row.integer(1), isCorrupt: try row.integer(2) != 0,
      aggregator: row.string(3),
      own: try row.double(4), others: try row.double(5))
  }
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
    self.index = index
    self.original = original
    self.assigned = assigned
    self.file = file
  }
}

extension LabelRecord: CSVRecord {
  static let columns = ["index", "original", "assigned", "is_corrupt"]
  static let optionalColumns = ["file"]

  var cells: [String] { [CSV.cell(index), CSV.cell(original), CSV.cell(assigned), CSV.cell(isCorrupt)] }
  var optionalCells: [String] { [file ?? ""] }

  init(_ row: CSVRow) throws {
    self.init(
      index: try row.integer(0), original: try row.integer(1), assigned: try row.integer(2),
      file: row.optionalString(4))
    guard try row.boolean(3) == isCorrupt else {
      throw RunStoreError(
        "\(row.file):\(row.line): column is_corrupt is \(row.string(3)), but the labels are \(original) and \(assigned).",
        remedy: "Correct this line: is_corrupt is 1 exactly when the two labels differ.")
    }
  }
}

/// The name of a class: a line of `classes.csv`.
struct ClassRecord: Sendable, Equatable {
  /// The class, from 0.
  var number: Int
  /// Its name in the data set.
  var name: String
}

extension ClassRecord: CSVRecord {
  static let columns = ["class", "name"]

  var cells: [String] { [CSV.cell(number), name] }

  init(_ row: CSVRow) throws { self.init(number: try row.integer(0), name: row.string(1)) }
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
  static let columns = ["path", "reason"]

  var cells: [String] { [path, reason] }

  init(_ row: CSVRow) throws { self.init(path: row.string(0), reason: row.string(1)) }
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
    self.index = index
    self.label = label
    self.isCorrupt = isCorrupt
    self.firstLearned = firstLearned
    self.lastLearned = lastLearned
    self.forgettingEvents = forgettingEvents
    self.finalLoss = finalLoss
    self.finalCorrect = finalCorrect
    self.file = file
  }
}

extension ExampleRecord: CSVRecord {
  static let columns = [
    "index", "label", "is_corrupt", "first_learned", "last_learned", "forgetting_events", "final_loss",
    "final_correct",
  ]
  static let optionalColumns = ["file"]
  static let formerNames = ["sample_id": "index"]

  var cells: [String] {
    [
      CSV.cell(index), CSV.cell(label), CSV.cell(isCorrupt), CSV.cell(firstLearned), CSV.cell(lastLearned),
      CSV.cell(forgettingEvents), CSV.cell(finalLoss), CSV.cell(finalCorrect),
    ]
  }
  var optionalCells: [String] { [file ?? ""] }

  init(_ row: CSVRow) throws {
    self.init(
      index: try row.integer(0), label: try row.integer(1), isCorrupt: try row.boolean(2),
      firstLearned: try row.optional(3, row.integer), lastLearned: try row.optional(4, row.integer),
      forgettingEvents: try row.integer(5), finalLoss: try row.optional(6, row.double),
      finalCorrect: try row.optional(7, row.boolean), file: row.optionalString(8))
  }
}
