// SPDX-License-Identifier: Apache-2.0

import Foundation
import NeuralNetworks

/// At which steps a probe looks, as a word: "log", "epoch", "every:100", "dense:0-50", or several joined by commas.
public struct ProbeSchedule: Sendable, Equatable, CustomStringConvertible {
  private enum Part: Sendable, Equatable {
    case logarithmic
    case epoch
    case every(Int)
    case dense(ClosedRange<Int>)
  }
  private let parts: [Part]
  /// The word it was parsed from.
  public let description: String

  /// Parses the word.
  ///
  /// - Throws: `TrainingError` that says what was expected.
  public init(_ text: String) throws {
    description = text
    parts = try text.split(separator: ",", omittingEmptySubsequences: false).map { word in
      let fields = word.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let ends = fields.count == 2 ? fields[1].split(separator: "-", omittingEmptySubsequences: false) : []
      switch fields[0] {
      case "log" where fields.count == 1: return .logarithmic
      case "epoch" where fields.count == 1: return .epoch
      case "every" where fields.count == 2:
        if let distance = Int(fields[1]), distance >= 1 { return .every(distance) }
      case "dense" where ends.count == 2:
        if let low = Int(ends[0]), let high = Int(ends[1]), low <= high { return .dense(low...high) }
      default: break
      }
      throw TrainingError(
        .configuration,
        "probe schedule \"\(text)\": \"\(word)\" is not known; write log, epoch, every:N or dense:A-B, joined by commas"
      )
    }
  }

  /// Whether the probe looks after `step` updates of a run; "log" means ten looks for every factor of ten, the first
  /// at 0, and one at the end.
  public func contains(_ step: Int, steps: Int, stepsPerEpoch: Int) -> Bool {
    parts.contains { part in
      switch part {
      case .logarithmic: step == 0 || step == steps || Self.isLogarithmic(step)
      case .epoch: step % max(stepsPerEpoch, 1) == 0
      case .every(let distance): step % distance == 0
      case .dense(let range): range.contains(step)
      }
    }
  }

  /// How many times the probe is taken after `step` updates, up to the steps at which several parts of the word agree.
  func count(after step: Int, steps: Int, stepsPerEpoch: Int) -> Int {
    guard step < steps else { return 0 }
    return parts.reduce(0) { count, part in
      switch part {
      case .logarithmic:
        let from = max(step + 1, 1)
        return count + Int((10 * (log10(Double(steps)) - log10(Double(from)))).rounded(.down)) + 1
      case .epoch: return count + steps / max(stepsPerEpoch, 1) - step / max(stepsPerEpoch, 1)
      case .every(let distance): return count + steps / distance - step / distance
      case .dense(let range): return count + max(0, min(range.upperBound, steps) - max(range.lowerBound - 1, step))
      }
    }
  }

  /// Whether a step is 10^(k/10) rounded for some whole k.
  private static func isLogarithmic(_ step: Int) -> Bool {
    guard step >= 1 else { return false }
    let exponent = (log10(Double(step)) * 10).rounded()
    return Int(pow(10, exponent / 10).rounded()) == step
  }
}

/// What is measured along a run, and when, as a word: "coherence@log", "coherence:m=2000,bn=batch@dense:0-50,log",
/// "contributions:m=60000,nulls=999@dense:0-10,log", "examples@epoch".
public struct ProbeSpecification: Sendable, Equatable, CustomStringConvertible {
  /// What is measured.
  public enum Kind: String, Sendable, CaseIterable {
    /// Coherence of a fixed sample of training and of test examples, by layer.
    case coherence
    /// Contributions of pristine and corrupt examples with null worlds, over the paper's sample (400 examples, 300
    /// weights a layer) and over m training examples and all weights.
    case contributions
    /// ⟨gᵢ, ḡ⟩, ‖gᵢ‖², their cosine, loss and margin of every training example, or of m of them.
    case examples
    /// Stiffness, confusion, signal-to-noise ratio, noise scale and diversity, on all pairs of m training and m test
    /// examples.
    case measures
    /// The stability bound with what is known of its constants: qualitative.
    case stability
    /// What the median of three group means keeps of mini-batches' mean gradients, on m training examples.
    case median
    /// By how much a pass lowers the loss of m training examples, half of them corrupt, through themselves and through
    /// others, with SGD, RM3 and M3.
    case push

    /// m where the word does not say; all examples where there are fewer.
    var defaultSampleSize: Int {
      switch self {
      case .coherence, .contributions, .stability, .median: 1000
      case .push: 120
      case .examples: .max
      case .measures: RelatedMeasures.defaultSample
      }
    }
  }

  /// What.
  public let kind: Kind
  /// m, examples of each sample; nil for the default of the kind, or all when there are fewer.
  public let sampleSize: Int?
  /// What batch normalisation does in the passes of the probe; nil for the running statistics.
  public let normPolicy: BatchNormPolicy?
  /// Null worlds of contributions; nil for the usual number.
  public let nullWorlds: Int?
  /// When.
  public let schedule: ProbeSchedule
  /// Whether fewer examples do where there are not so many: nobody who asked for a preset named a number.
  private(set) var mayShrink = false

  /// Bundles by cost.
  static let presets = [
    "economy": ["coherence:m=500@log"],
    "business": ["coherence:m=2000@dense:0-50,log", "measures@log"],
    "full": [
      "coherence:m=5000@dense:0-50,log", "contributions:m=5000@dense:0-50,log", "examples@epoch", "measures@log",
      "stability@log",
    ],
  ]

  /// The probes that a word stands for: one, or those of a preset (economy, business, full).
  ///
  /// - Throws: `TrainingError` that says what was expected.
  public static func parse(_ text: String) throws -> [ProbeSpecification] {
    try (presets[text] ?? [text]).map {
      var probe = try ProbeSpecification($0)
      probe.mayShrink = presets[text] != nil || probe.sampleSize == nil
      return probe
    }
  }

  /// Parses one probe.
  private init(_ text: String) throws {
    let halves = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let names = halves[0].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let kind = Kind(rawValue: names[0]) else {
      let known = (Kind.allCases.map(\.rawValue) + Self.presets.keys.sorted()).joined(separator: ", ")
      throw TrainingError(
        .configuration, "there is no probe \"\(names[0])\"; known probes: \(known). Write, for example, coherence@log")
    }
    self.kind = kind
    schedule = try ProbeSchedule(halves.count == 2 ? halves[1] : "log")
    // Steps enter the bound with the coherence measured before them.
    guard kind != .stability || schedule.contains(0, steps: 1, stepsPerEpoch: 1) else {
      throw TrainingError(
        .configuration,
        "probe \"\(text)\": stability needs a measurement at step 0; add log, epoch or dense:0-0 to its schedule")
    }
    var (count, policy, worlds): (Int?, BatchNormPolicy?, Int?)
    for setting in names.count == 2 ? names[1].split(separator: ",", omittingEmptySubsequences: false) : [] {
      let sides = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let value = sides.count == 2 ? sides[1] : ""
      switch sides[0] {
      case "m" where count == nil:
        if let number = Int(value), number >= 2 {
          count = number
          continue
        }
      case "bn" where policy == nil:
        policy = BatchNormPolicy(rawValue: value)
        if policy != nil { continue }
      case "nulls" where worlds == nil && kind == .contributions:
        if let number = Int(value), Self.nullWorldRange.contains(number) {
          worlds = number
          continue
        }
      default: break
      }
      throw TrainingError(
        .configuration,
        "probe \"\(text)\": \"\(setting)\" is not known; write m=N with N of at least 2, such as m=2000, or bn=running "
          + "or bn=batch, or for contributions nulls=N with N from \(Self.nullWorldRange.lowerBound) to "
          + "\(Self.nullWorldRange.upperBound), each once, joined by commas")
    }
    if kind == .measures, let count { try CoherenceProbe.checkPairs(count) }
    (sampleSize, normPolicy, nullWorlds) = (count, policy, worlds)
  }

  /// Null worlds that contributions can have: with one alone, no value is ever unusual; each is a line of the log.
  private static let nullWorldRange = 2...9999

  /// Training examples that the probe looks at where there are enough of them: whole mini-batches for the median.
  func trainingSample(batchSize: Int) -> Int {
    let count = sampleSize ?? kind.defaultSampleSize
    return kind == .median ? max(count, batchSize) : count
  }

  /// Checks what depends on the size of a run's mini-batches.
  ///
  /// - Throws: `TrainingError` when the probe's sample holds no whole mini-batch where it needs one, or when mini-batches
  ///   have no three groups.
  func check(batchSize: Int) throws {
    guard kind == .median || kind == .push else { return }
    guard batchSize >= 3 else {
      throw TrainingError(
        .configuration, "probe \"\(self)\" splits mini-batches into three groups; batch-size must be at least 3")
    }
    guard kind == .push || sampleSize ?? batchSize >= batchSize else {
      throw TrainingError(
        .configuration,
        "probe \"\(self)\" uses whole mini-batches; m must be at least the batch-size, \(batchSize)")
    }
  }

  /// The word.
  public var description: String {
    let settings = [
      sampleSize.map { "m=\($0)" }, normPolicy.map { "bn=\($0.rawValue)" }, nullWorlds.map { "nulls=\($0)" },
    ].compactMap(\.self)
    return kind.rawValue + (settings.isEmpty ? "" : ":" + settings.joined(separator: ",")) + "@\(schedule)"
  }
}
