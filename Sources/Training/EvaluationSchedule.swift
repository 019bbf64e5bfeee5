// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How evaluations are spread over a run when no fixed distance is given.
public enum EvaluationPolicy: String, Codable, Sendable, CaseIterable {
  /// As many as a tenth of the run pays for: on samples at first, on the whole test set every few epochs, and on
  /// everything at the end.
  case auto
  /// Everything, every time: every step up to 10, eight times for every factor of ten up to the first epoch, then once
  /// an epoch, or fifty times over the run if that is fewer.
  case dense
}

/// How much of the data one evaluation sees.
public enum EvaluationExtent: String, Sendable, Codable {
  /// A fixed sample of every split.
  case sample
  /// All test and validation examples, and a larger fixed sample of the training examples.
  case heldOut = "held-out"
  /// Every example.
  case whole
}

/// The number of examples of each split.
public struct SplitCounts: Sendable, Equatable {
  /// Training examples.
  public var train: Int
  /// Test examples.
  public var test: Int
  /// Validation examples.
  public var validation: Int

  /// Counts by split.
  public init(train: Int, test: Int, validation: Int = 0) {
    (self.train, self.test, self.validation) = (train, test, validation)
  }

  /// All examples.
  public var total: Int { train + test + validation }

  /// At most `limit` of each split.
  func limited(to limit: Int) -> SplitCounts {
    SplitCounts(train: min(train, limit), test: min(test, limit), validation: min(validation, limit))
  }
}

/// At which steps a run evaluates, and on how many examples: always at 0 and at the end.
///
/// A forward pass costs about a third of training on an example. By the policy `auto` all evaluations together see at
/// most a quarter as many examples as training does, which is at most a tenth of the run. The schedule follows from
/// counts alone, never from a clock, so that a run repeats it. What has to be there costs what it costs: a run that is
/// too short for more still evaluates `minimumSample` examples of each split at its start and at its end.
public struct EvaluationSchedule: Sendable, Equatable {
  /// Steps in the whole run.
  public let steps: Int
  /// Steps between regular evaluations; `Int.max` where none falls into the run.
  public let distance: Int
  /// What a regular evaluation sees.
  public let regular: EvaluationExtent
  /// What the last evaluation sees.
  public let last: EvaluationExtent
  /// What the evaluations before the first regular one see.
  public let early: EvaluationExtent
  /// Examples of each split in a sample.
  public let sample: Int
  /// Training examples in an evaluation of all held-out examples.
  public let trainingSample: Int
  /// The examples there are.
  public let counts: SplitCounts
  private let earlySteps: [Int]

  /// Examples of each split that are evaluated at least, however short the run is.
  public static let minimumSample = 256
  /// Examples of each split in a sample at most: early evaluations must not keep the first steps waiting.
  static let maximumSample = 1000

  /// - Parameters:
  ///   - steps: steps in the whole run.
  ///   - stepsPerEpoch: steps in one pass over the training set.
  ///   - examplesPerStep: training examples that a step sees.
  ///   - counts: the examples there are to evaluate.
  ///   - every: a fixed distance between evaluations of everything; nil to follow `policy`.
  ///   - policy: how evaluations are spread otherwise.
  public init(
    steps: Int, stepsPerEpoch: Int, examplesPerStep: Int, counts: SplitCounts, every: Int?,
    policy: EvaluationPolicy = .auto
  ) {
    if let every {
      self.init(steps: steps, distance: max(every, 1), earlySteps: [], counts: counts)
    } else if policy == .dense {
      let distance = max(stepsPerEpoch, steps / 50, 1)
      // The first ten steps one by one: the slope of the loss is the squared norm of the gradient there.
      let early = Set(Array(1...10) + Self.logarithmic(perDecade: 8, below: distance))
      self.init(steps: steps, distance: distance, earlySteps: early.sorted(), counts: counts)
    } else {
      self.init(steps: steps, stepsPerEpoch: stepsPerEpoch, examplesPerStep: examplesPerStep, budgetOver: counts)
    }
  }

  /// Everything at a fixed distance, and at early steps below it.
  private init(steps: Int, distance: Int, earlySteps: [Int], counts: SplitCounts) {
    (self.steps, self.distance, self.counts) = (steps, distance, counts)
    self.earlySteps = earlySteps.filter { $0 < distance && $0 < steps }
    (early, regular, last) = (.whole, .whole, .whole)
    (sample, trainingSample) = (counts.total, counts.train)
  }

  /// The policy `auto`.
  private init(steps: Int, stepsPerEpoch: Int, examplesPerStep: Int, budgetOver counts: SplitCounts) {
    (self.steps, self.counts) = (steps, counts)
    let (seen, isHuge) = steps.multipliedReportingOverflow(by: max(1, examplesPerStep))
    let budget = (isHuge ? Int.max : seen) / 4
    let least = counts.limited(to: Self.minimumSample).total
    let heldOut = counts.test + counts.validation
    let trainingSample = min(counts.train, max(1000, heldOut / 2))
    let regularCost = heldOut + trainingSample

    let last: EvaluationExtent
    if counts.total <= max(budget / 2, least) {
      last = .whole
    } else {
      last = heldOut + min(counts.train, Self.minimumSample) <= budget ? .heldOut : .sample
    }
    let atEnd = last == .whole ? counts.total : last == .heldOut ? min(regularCost, max(budget, heldOut)) : least
    // Where the budget ends with the held-out examples, the rest of it goes to training examples.
    self.trainingSample =
      last == .heldOut ? min(trainingSample, max(Self.minimumSample, atEnd - heldOut)) : trainingSample
    var rest = max(0, budget - atEnd - least)

    // Two thirds of what is left for regular evaluations, as often as that pays for in whole epochs.
    let affordable = rest / 3 * 2 / max(1, heldOut + self.trainingSample)
    let epochs = max(0, steps - 1) / max(1, stepsPerEpoch)
    let every = epochs / (affordable + 1) + 1
    distance = every <= epochs ? max(1, stepsPerEpoch) * every : .max
    rest -= Self.multiples(of: distance, below: steps) * (heldOut + self.trainingSample)

    // What remains for the early ones, with those of samples at the ends: the more the better, as long as a sample says
    // something.
    let ends = last == .sample ? 2 : 1
    rest += ends * least
    let splits = counts.validation > 0 ? 3 : 2
    var chosen: (steps: [Int], sample: Int) = ([], Self.minimumSample)
    for (perDecade, sample) in [
      (8, 500), (6, 500), (4, 500), (3, 500), (2, Self.minimumSample), (1, Self.minimumSample),
    ] {
      let found = Self.logarithmic(perDecade: perDecade, below: min(distance, steps))
      let count = found.count + ends
      guard !found.isEmpty, count * counts.limited(to: sample).total <= rest else { continue }
      chosen = (found, max(sample, min(rest / (count * splits), Self.maximumSample)))
      break
    }
    earlySteps = chosen.steps
    sample = chosen.sample
    self.last = last
    regular = .heldOut
    early = .sample
  }

  /// 10^(k/n) rounded, for whole k, ascending and below `limit`.
  private static func logarithmic(perDecade n: Int, below limit: Int) -> [Int] {
    var steps: [Int] = []
    for k in 0...(9 * n) {
      // In range: at most 10^9.
      let step = Int(pow(10, Double(k) / Double(n)).rounded())
      guard step < limit else { break }
      if step != steps.last { steps.append(step) }
    }
    return steps
  }

  /// How many multiples of a distance lie above 0 and below a limit.
  private static func multiples(of distance: Int, below limit: Int) -> Int { max(0, limit - 1) / distance }

  /// What the run evaluates after `step` updates; nil for nothing.
  public func extent(at step: Int) -> EvaluationExtent? {
    if step == steps { return last }
    if step == 0 { return early }
    if step % distance == 0 { return regular }
    return earlySteps.contains(step) ? early : nil
  }

  /// How many examples of each split an evaluation sees.
  public func counts(of extent: EvaluationExtent) -> SplitCounts {
    switch extent {
    case .whole: counts
    case .heldOut:
      SplitCounts(train: min(counts.train, trainingSample), test: counts.test, validation: counts.validation)
    case .sample: counts.limited(to: sample)
    }
  }

  /// How many evaluations follow after `step` updates.
  public func count(after step: Int) -> Int { moments(after: step).reduce(0) { $0 + $1.count } }

  /// How many examples they see together.
  public func examples(after step: Int) -> Int {
    moments(after: step).reduce(0) { $0 + $1.count * counts(of: $1.extent).total }
  }

  private func moments(after step: Int) -> [(extent: EvaluationExtent, count: Int)] {
    guard step < steps else { return [] }
    let regularCount =
      Self.multiples(of: distance, below: steps) - Self.multiples(of: distance, below: max(step, 0) + 1)
    return [
      (early, (step < 0 ? 1 : 0) + earlySteps.count { $0 > step && $0 < steps && $0 % distance != 0 }),
      (regular, regularCount), (last, 1),
    ]
  }
}
