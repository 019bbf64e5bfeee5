// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// What the data say, in plain sentences.
enum Findings {
  /// One sentence for the whole report.
  static func headline(for runs: [RunData]) -> String {
    let orders = runs.filter { !$0.corruptAccuracy.isEmpty }.map(order)
    let first = orders.count { $0 == .pristineFirst }
    if orders.contains(where: { $0 != .undecided }) {
      let runs = "\(orders.count) runs with noise"
      switch first {
      case orders.count where first == 1: return "Pristine examples were learned before corrupt ones."
      case orders.count: return "Pristine examples were learned before corrupt ones in all \(runs)."
      case 0: return "Pristine examples were not learned before corrupt ones."
      default: return "Pristine examples were learned before corrupt ones in \(first) of \(runs)."
      }
    }
    let best = runs.compactMap { run in
      (run.chosen.map(\.moment.testAccuracy) ?? run.accuracy("test").last?.value).map { (run, $0) }
    }.max { $0.1 < $1.1 }
    guard let (run, accuracy) = best else { return "No evaluations yet." }
    return "Test accuracy \(Wording.percent(accuracy))" + (runs.count > 1 ? " with \(run.label)." : ".")
  }

  /// Sentences about one run, without its name.
  static func sentences(for run: RunData) -> [String] {
    let count = run.members.count
    let seeds = run.members.map { "\($0.manifest.seed)" }.joined(separator: ", ")
    var sentences = count > 0 ? ["Mean of \(count) runs (seeds \(seeds))."] : []
    if let order = learningOrder(of: run) { sentences.append(order) }
    if let test = testCourse(of: run) { sentences.append(test) }
    if let chosen = run.chosen { sentences.append(evaluation(chosen.selection, chosen.moment)) }
    if let last = run.reference, let overfit = run.overfit.last(where: { $0.step == last.step }), run.noiseLevel > 0 {
      sentences.append(
        "At step \(Wording.integer(last.step)) training accuracy is \(Wording.percent(last.train)) and the overfit "
          + "\(points(overfit.value)).")
    }
    sentences += [coherence(of: run), count > 0 ? nil : contributions(of: run)].compactMap { $0 }
    sentences += ending(of: run).map { [$0] } ?? []
    return sentences.isEmpty ? ["No evaluations yet."] : sentences
  }

  /// The evaluation that the report is about.
  private static func evaluation(_ selection: WeightSelection, _ moment: RunSummary.Moment) -> String {
    let accuracies = [
      ("training", moment.trainAccuracy), ("validation", moment.validationAccuracy), ("test", moment.testAccuracy),
    ]
    let words = accuracies.compactMap { name, value in value.map { "\(name) \(Wording.percent($0))" } }
    let who = selection == .best ? "The best weights by the test set" : "The weights selected by validation"
    return "\(who) are those of step \(Wording.integer(moment.step)): \(words.joined(separator: ", "))."
  }

  /// How the run ended, or how many of those behind a mean did not; nil where there is nothing to say.
  private static func ending(of run: RunData) -> String? {
    guard run.members.isEmpty else {
      let open = run.members.count { $0.manifest.status != .completed }
      return open == 0 ? nil : "\(open) of these runs did not end as planned."
    }
    switch run.manifest.status {
    case .running: return "The run has not ended yet."
    case .interrupted: return "The run was interrupted."
    case .diverged: return "The run diverged: its loss was no longer a finite number."
    case .completed: return nil
    }
  }

  private enum Order { case pristineFirst, corruptFirst, undecided }

  /// Which group was half learned first; where both were at the same evaluation, which one was clearly further then.
  private static func order(of run: RunData) -> Order {
    switch (halfway(run.pristineAccuracy), halfway(run.corruptAccuracy)) {
    case (nil, nil): return .undecided
    case (_?, nil): return .pristineFirst
    case (nil, _?): return .corruptFirst
    case (let pristine?, let corrupt?) where pristine != corrupt:
      return pristine < corrupt ? .pristineFirst : .corruptFirst
    case (let step?, _):
      func value(_ points: [Point]) -> Double { points.first { $0.step == step }?.value ?? 0 }
      let lead = value(run.pristineAccuracy) - value(run.corruptAccuracy)
      return lead > 0.05 ? .pristineFirst : lead < -0.05 ? .corruptFirst : .undecided
    }
  }

  /// The first evaluated step at which a curve is at one half or above.
  static func halfway(_ points: [Point]) -> Int? { points.first { $0.value >= 0.5 }?.step }

  private static func learningOrder(of run: RunData) -> String? {
    let corrupt = run.corruptAccuracy
    guard let lastCorrupt = corrupt.last, !run.pristineAccuracy.isEmpty else {
      return halfway(run.pristineAccuracy).map { "Half of the examples were learned by step \(Wording.integer($0))." }
    }
    guard let pristine = halfway(run.pristineAccuracy) else {
      let end = Wording.integer(lastCorrupt.step)
      guard let corruptStep = halfway(corrupt) else {
        return "By step \(end) less than half of the pristine and of the corrupt examples were learned."
      }
      let share = Wording.percent(run.pristineAccuracy.last?.value ?? 0)
      return
        "Half of the corrupt examples were learned by step \(Wording.integer(corruptStep)), but only \(share) of the "
        + "pristine ones by step \(end)."
    }
    let start = "Half of the pristine examples were learned by step \(Wording.integer(pristine))"
    guard let corruptStep = halfway(corrupt) else {
      return start + ", but only \(Wording.percent(lastCorrupt.value)) of the corrupt ones by step "
        + "\(Wording.integer(lastCorrupt.step))."
    }
    guard corruptStep > pristine else {
      return start + " and half of the corrupt ones by step \(Wording.integer(corruptStep))."
    }
    let ratio = Double(corruptStep) / Double(max(1, pristine))
    let times = pristine > 0 ? ", \(String(format: ratio < 10 ? "%.1f" : "%.0f", ratio)) times as long" : ""
    return start + ", half of the corrupt ones by step \(Wording.integer(corruptStep))\(times)."
  }

  private static func testCourse(of run: RunData) -> String? {
    let curve = run.accuracy("test").filter(\.value.isFinite)
    guard let last = curve.last, let best = curve.max(by: { $0.value < $1.value }) else { return nil }
    if best.value - last.value < 0.005 { return "Test accuracy ended at \(Wording.percent(last.value))." }
    return "Test accuracy peaked at \(Wording.percent(best.value)) (step \(Wording.integer(best.step))) and ended at "
      + "\(Wording.percent(last.value))."
  }

  /// A difference of accuracies in percentage points.
  private static func points(_ difference: Double) -> String {
    String(format: "%.1f", difference * 100).replacingOccurrences(of: "-", with: "−") + " percentage points"
  }
}
