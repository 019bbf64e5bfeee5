// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import Training

extension ProbeSchedule {
  /// Parses a word: "log", "epoch", "epoch:1-4", "every:100", "dense:0-50", or several joined by commas.
  ///
  /// - Throws: `TrainingError` that says what was expected.
  public init(_ text: String) throws {
    self.init(
      try text.split(separator: ",", omittingEmptySubsequences: false).map { word in
        let fields = word.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let ends = fields.count == 2 ? fields[1].split(separator: "-", omittingEmptySubsequences: false) : []
        switch fields[0] {
        case "log" where fields.count == 1: return .logarithmic
        case "epoch" where fields.count == 1: return .epoch
        case "epoch" where ends.count == 2:
          if let low = Int(ends[0]), let high = Int(ends[1]), low <= high { return .epochs(low...high) }
        case "every" where fields.count == 2:
          if let distance = Int(fields[1]), distance >= 1 { return .every(distance) }
        case "dense" where ends.count == 2:
          if let low = Int(ends[0]), let high = Int(ends[1]), low <= high { return .dense(low...high) }
        default: break
        }
        throw TrainingError(
          .configuration,
          "probe schedule \"\(text)\": \"\(word)\" is not known; write log, epoch, epoch:A-B, every:N or dense:A-B, "
            + "joined by commas"
        )
      })
  }
}

/// What is measured along a run, and when, as a word: "coherence@log", "coherence:m=2000,bn=batch@dense:0-50,log",
/// "contributions:m=60000,nulls=999@dense:0-10,log", "examples@epoch".
public struct ProbeSpecification: Sendable, Equatable, CustomStringConvertible {
  /// What is measured.
  public enum Kind: String, Sendable, CaseIterable {
    /// Coherence of a fixed sample of training and of test examples, by layer.
    case coherence
    /// Contributions of pristine and corrupt examples with permutation nulls, over the paper's sample (400 examples, 300
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
    /// How many of m training examples are classified otherwise than before.
    case changes
    /// What training shows of every example, for audits of labels.
    case dynamics
    /// The length of all weights.
    case weights

    /// When it is measured where the word does not say.
    var usualSchedule: ProbeSchedule { self == .dynamics ? DynamicsProbe.usualSchedule : .logarithmic }
  }

  /// What is measured.
  public let kind: Kind
  /// m, examples of each sample; nil for the default of the kind, or all when there are fewer.
  public let sampleSize: Int?
  /// What batch normalisation does in the passes of the probe; nil for the running statistics.
  public let normPolicy: BatchNormPolicy?
  /// Permutations of who is corrupt, for contributions; nil for the usual number.
  public let nullCount: Int?
  /// Whether coherence is measured of every head of attention, too.
  public let dividesLayers: Bool
  /// When it is measured.
  public let schedule: ProbeSchedule
  /// Whether fewer examples do where there are not so many: nobody who asked for a preset named a number.
  private(set) var mayShrink = false

  /// Bundles by cost.
  static let presets = [
    "economy": ["coherence:m=500@log"], "business": ["coherence:m=2000@dense:0-50,log", "measures@log"],
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
    if halves.count > 1, Self.presets[names[0]] != nil {
      throw TrainingError(
        .configuration, "\(names[0]) stands for several probes with steps of their own; leave out @\(halves[1])")
    }
    guard let kind = Kind(rawValue: names[0]) else {
      let known = (Kind.allCases.map(\.rawValue) + Self.presets.keys.sorted()).joined(separator: ", ")
      throw TrainingError(
        .configuration, "there is no probe \"\(names[0])\"; known probes: \(known). Write, for example, coherence@log")
    }
    self.kind = kind
    schedule = try halves.count == 2 ? ProbeSchedule(halves[1]) : kind.usualSchedule
    var (count, policy, nulls, heads): (Int?, BatchNormPolicy?, Int?, Bool?)
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
      case "nulls" where nulls == nil && kind == .contributions:
        if let number = Int(value), Self.nullCountRange.contains(number) {
          nulls = number
          continue
        }
      case "heads" where heads == nil && kind == .coherence && ["yes", "no"].contains(value):
        heads = value == "yes"
        continue
      default: break
      }
      throw TrainingError(
        .configuration,
        "probe \"\(text)\": \"\(setting)\" is not known; write m=N with N of at least 2, such as m=2000, or bn=running "
          + "or bn=batch, or for coherence heads=yes, or for contributions nulls=N with N from "
          + "\(Self.nullCountRange.lowerBound) to \(Self.nullCountRange.upperBound), each once, joined by commas")
    }
    (sampleSize, normPolicy, nullCount, dividesLayers) = (count, policy, nulls, heads ?? false)
    _ = try makeProbe()
  }

  /// Permutations that contributions can have: with one alone, no value is ever unusual; each is a line of the log.
  private static let nullCountRange = 2...9999

  /// A new probe.
  ///
  /// - Throws: `TrainingError` for settings that it does not take.
  public func makeProbe() throws -> any Probe {
    let (size, policy) = (sampleSize.map { mayShrink ? .atMost($0) : SampleSize($0) }, normPolicy ?? .running)
    switch kind {
    case .coherence:
      return CoherenceProbe(
        m: size ?? CoherenceProbe.usualSize, at: schedule, batchNorm: policy, dividesLayers: dividesLayers)
    case .contributions:
      return ContributionProbe(
        m: size ?? ContributionProbe.usualSize, nullCount: nullCount ?? ContributionProbe.usualNullCount, at: schedule,
        batchNorm: policy)
    case .examples: return ExamplesProbe(m: size ?? ExamplesProbe.usualSize, at: schedule, batchNorm: policy)
    case .measures: return try MeasuresProbe(m: size ?? MeasuresProbe.usualSize, at: schedule, batchNorm: policy)
    case .stability: return try StabilityProbe(m: size ?? StabilityProbe.usualSize, at: schedule, batchNorm: policy)
    case .median: return MedianProbe(m: size ?? MedianProbe.usualSize, at: schedule, batchNorm: policy)
    case .changes:
      guard policy == .running else {
        throw TrainingError(
          .configuration, "probe \"\(self)\": predictions are those of an evaluation; leave bn=batch out")
      }
      return PredictionChangesProbe(m: size ?? PredictionChangesProbe.usualSize, at: schedule)
    case .dynamics:
      guard sampleSize == nil else {
        throw TrainingError(
          .configuration, "probe \"\(self)\": an audit is of all training examples; leave m=\(sampleSize ?? 0) out")
      }
      return DynamicsProbe(at: schedule, batchNorm: policy)
    case .weights:
      guard sampleSize == nil, normPolicy == nil else {
        throw TrainingError(
          .configuration, "probe \"\(self)\": the length of the weights needs no examples; leave m and bn out")
      }
      return WeightsProbe(at: schedule)
    case .push: return PushProbe(m: size ?? PushProbe.usualSize, at: schedule, batchNorm: policy)
    }
  }

  /// The word.
  public var description: String {
    let settings = [
      sampleSize.map { "m=\($0)" }, normPolicy.map { "bn=\($0.rawValue)" }, dividesLayers ? "heads=yes" : nil,
      nullCount.map { "nulls=\($0)" },
    ].compactMap(\.self)
    return kind.rawValue + (settings.isEmpty ? "" : ":" + settings.joined(separator: ",")) + "@\(schedule)"
  }
}

extension TrainingConfiguration {
  /// New probes, as the words say.
  ///
  /// - Throws: `TrainingError` that says what was expected.
  func makeProbes() throws -> [any Probe] { try probe.flatMap(ProbeSpecification.parse).map { try $0.makeProbe() } }

  /// Checks that the samples of all probes are there, without drawing them.
  ///
  /// - Parameter trainingExamples: how many there are to train on; nil where that is not known yet.
  /// - Throws: `TrainingError` that says which probe asks for more.
  public func checkProbes(trainingExamples: Int?) throws {
    let stop = try stop.map { try StoppingRule($0).makeProbe() }
    for probe in try makeProbes() + [stop].compactMap(\.self) {
      try probe.check(trainingExamples: trainingExamples, batchSize: batchSize)
    }
  }
}
