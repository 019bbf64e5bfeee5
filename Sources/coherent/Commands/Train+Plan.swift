// SPDX-License-Identifier: Apache-2.0

import Runs
import Training

/// What `--plan` says.
struct PlanResult: Encodable {
  struct Memory: Encodable {
    let total, base, parameters, gradient, optimizer, training, evaluation: Int
    let available: Int?
  }

  struct Share: Encodable {
    let ranks, examples, bytesSent, exchanges: Int
    let secondsComputing: Double
    /// By bits a second.
    let secondsAtGigabits: [String: Double]
  }

  let model, dataset: String
  let parameters, trainExamples, testExamples, batchSize, steps, stepsPerEpoch, threads: Int
  let secondsPerStep, secondsOfSteps, secondsOfEvaluations: Double
  let memory: Memory?
  let ranks: [Share]
  let obstacle: String?

  /// Speeds of networks to look at, in gigabits a second.
  static let gigabits = [1, 10, 100]

  init(_ plan: TrainingPlan) {
    let (settings, trainer) = (plan.configuration, plan.trainer)
    (model, dataset, batchSize) = (settings.model, settings.dataset, settings.batchSize)
    (parameters, trainExamples) = (trainer.store.count, trainer.data.trainIndices.count)
    (testExamples, steps, stepsPerEpoch) = (trainer.data.test.count, trainer.steps, trainer.stepsPerEpoch)
    threads = settings.threads ?? 1
    secondsPerStep = plan.cost.step
    secondsOfSteps = plan.cost.step * Double(trainer.steps)
    secondsOfEvaluations = plan.cost.example * Double(plan.evaluated)
    memory = plan.memory.map {
      Memory(
        total: $0.total, base: $0.base, parameters: $0.parameters, gradient: $0.gradient, optimizer: $0.optimizer,
        training: $0.training, evaluation: $0.evaluation, available: MemoryLimit.current())
    }
    ranks = plan.shares.map { share in
      Share(
        ranks: share.traffic.ranks, examples: share.traffic.examples, bytesSent: share.traffic.bytes,
        exchanges: share.traffic.exchanges, secondsComputing: share.computing,
        secondsAtGigabits: Dictionary(
          uniqueKeysWithValues: Self.gigabits.map { ("\($0)", share.seconds(bitsPerSecond: Double($0) * 1e9)) }))
    }
    obstacle = plan.obstacle
  }

  var text: String {
    var lines = [
      "\(model) on \(dataset): \(Console.count(parameters)) parameters, \(Console.count(trainExamples)) training and "
        + "\(Console.count(testExamples)) test examples.",
      "\(Console.count(steps)) steps of \(batchSize) examples, \(Console.count(stepsPerEpoch)) to an epoch.",
      "Time: \(Console.milliseconds(secondsPerStep)) a step with \(threads) thread\(threads == 1 ? "" : "s"), so "
        + "\(Console.duration(secondsOfSteps)) for all steps and \(Console.duration(secondsOfEvaluations)) for "
        + "evaluations. Probes are not in it.",
    ]
    if let memory {
      let available = memory.available.map { " of \(Console.bytes($0))" } ?? ""
      lines.append(
        "Memory: about \(Console.bytes(memory.total))\(available), \(Console.bytes(memory.base)) of it for the program and "
          + "the data, \(Console.bytes(memory.training)) for the passes over a mini-batch.")
    }
    guard ranks.count > 1 else {
      return (lines + (obstacle.map { ["", "One process only: \($0)."] } ?? [])).joined(separator: "\n")
    }
    lines += ["", "Several processes, each on a processor like this one:", ""]
    lines.append(
      Console.table(
        [["ranks", "examples", "a rank sends"] + Self.gigabits.map { "step at \($0) Gbit/s" }]
          + ranks.map { rank in
            ["\(rank.ranks)", "\(rank.examples)", rank.ranks == 1 ? "–" : Console.megabytes(rank.bytesSent)]
              + Self.gigabits.map { Console.milliseconds(rank.secondsAtGigabits["\($0)"] ?? 0) }
          }))
    lines += [
      "",
      "Computed: the passes were timed here for a rank's part of a mini-batch, what is sent follows from the optimizer, and "
        + "each of its exchanges waits \(Console.milliseconds(TrainingPlan.latency)).",
    ]
    if let obstacle { lines.append("No more processes: \(obstacle).") }
    return lines.joined(separator: "\n")
  }
}

extension Console {
  /// "0.25 ms", "12 ms", "3.4 s".
  fileprivate static func milliseconds(_ seconds: Double) -> String {
    if seconds >= 10 { return duration(seconds) }
    if seconds >= 1 { return String(format: "%.1f s", seconds) }
    return seconds >= 0.01 ? String(format: "%.0f ms", 1000 * seconds) : String(format: "%.2g ms", 1000 * seconds)
  }

  fileprivate static func megabytes(_ bytes: Int) -> String { String(format: "%.3g MB", Double(bytes) / 1e6) }

  /// 12 345 for 12345.
  fileprivate static func count(_ value: Int) -> String {
    var (digits, groups) = (String(value), [String]())
    while digits.count > 3 {
      groups.insert(String(digits.suffix(3)), at: 0)
      digits.removeLast(3)
    }
    return ([digits] + groups).joined(separator: value < 10_000 ? "" : " ")
  }
}
