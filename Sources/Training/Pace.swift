// SPDX-License-Identifier: Apache-2.0

/// How fast a run is, and how long it will still take: steps, evaluations and probes are timed apart, since a run makes
/// most of its evaluations early and the largest one last.
///
/// The time between two events belongs to the second one. Old times lose weight, so that a machine that gets busy is
/// noticed.
public struct Pace {
  /// Times of one kind of work.
  private struct Work: Sendable {
    private var seconds = 0.0
    private var amount = 0.0
    private var pieces = 0

    /// Seconds for a unit of it; nil before any was seen.
    var perUnit: Double? { amount > 0 ? seconds / amount : nil }

    /// The first piece, in which libraries make their plans, counts only until there is another.
    mutating func add(_ time: Double, amount new: Double) {
      pieces += 1
      if pieces == 2 { (seconds, amount) = (0, 0) }
      seconds += time
      amount += new
      if seconds > Self.memory { (seconds, amount) = (seconds / 2, amount / 2) }
    }

    /// Seconds of work after which what was seen so far counts half.
    private static let memory = 60.0
  }

  private let evaluations: EvaluationSchedule
  private let probesAfter: (Int) -> Int
  private var steps = Work()
  private var examples = Work()
  private var probes = Work()
  private var rest = Work()
  private var last: UInt64

  /// - Parameters:
  ///   - evaluations: the run's evaluations.
  ///   - probesAfter: how many times probes will be taken after so many steps.
  ///   - now: the present in nanoseconds, of a clock that never goes back.
  public init(evaluations: EvaluationSchedule, probesAfter: @escaping (Int) -> Int = { _ in 0 }, now: UInt64) {
    self.evaluations = evaluations
    self.probesAfter = probesAfter
    last = now
  }

  /// Takes note of an event that has just happened.
  public mutating func note(_ event: TrainingEvent, now: UInt64) {
    let time = now > last ? Double(now - last) / 1e9 : 0
    last = max(last, now)
    switch event {
    case .stepped: steps.add(time, amount: 1)
    case .evaluated(let records):
      let seen = records.filter { $0.group == "all" }.reduce(0) { $0 + $1.count }
      examples.add(time, amount: Double(seen))
    case .measured: probes.add(time, amount: 1)
    // Checkpoints.
    case .completedStep: rest.add(time, amount: 1)
    }
  }

  /// Updates a second, without evaluations, probes and checkpoints; nil before the first.
  public var stepsPerSecond: Double? { steps.perUnit.flatMap { $0 > 0 ? 1 / $0 : nil } }

  /// Seconds until the run ends, from `step` updates on; nil before the first update.
  public func secondsLeft(after step: Int) -> Double? {
    guard let perStep = steps.perUnit else { return nil }
    return Double(max(0, evaluations.steps - step)) * (perStep + (rest.perUnit ?? 0))
      + Double(evaluations.examples(after: step)) * (examples.perUnit ?? 0)
      + Double(probesAfter(step)) * (probes.perUnit ?? 0)
  }
}
