// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What the data say, in plain sentences.
enum Findings {
  /// One sentence for the whole report.
  static func headline(for runs: [RunData]) -> String {
    let noisy = runs.filter { !$0.corruptAccuracy.isEmpty && halfway($0.pristineAccuracy) != nil }
    let slower = noisy.filter { run in
      guard let pristine = halfway(run.pristineAccuracy) else { return false }
      return halfway(run.corruptAccuracy).map { $0 > pristine } ?? true
    }
    if !noisy.isEmpty, slower.count == noisy.count {
      return noisy.count == 1
        ? "Pristine examples were learned before corrupt ones."
        : "Pristine examples were learned before corrupt ones in all \(noisy.count) runs with noise."
    }
    if !noisy.isEmpty {
      return slower.isEmpty
        ? "Pristine examples were not learned before corrupt ones."
        : "Pristine examples were learned before corrupt ones in \(slower.count) of \(noisy.count) runs with noise."
    }
    let best = runs.compactMap { run in run.accuracy("test").last.map { (run, $0.value) } }.max { $0.1 < $1.1 }
    guard let (run, accuracy) = best else { return "No evaluations yet." }
    return "Test accuracy \(Wording.percent(accuracy))" + (runs.count > 1 ? " with \(run.label)." : ".")
  }

  /// Sentences about one run, without its name.
  static func sentences(for run: RunData) -> [String] {
    var sentences: [String] = []
    if let order = learningOrder(of: run) { sentences.append(order) }
    if let test = testCourse(of: run) { sentences.append(test) }
    if let last = run.trainAndTest.last, let overfit = run.overfit.last, run.noiseLevel > 0 {
      sentences.append(
        "At step \(Wording.integer(last.step)) training accuracy is \(Wording.percent(last.train)) and the overfit "
          + "\(points(overfit.value)).")
    }
    switch run.manifest.status {
    case .running: sentences.append("The run has not ended yet.")
    case .interrupted: sentences.append("The run was interrupted.")
    case .diverged: sentences.append("The run diverged: its loss was no longer a finite number.")
    case .completed: break
    }
    return sentences.isEmpty ? ["No evaluations yet."] : sentences
  }

  /// The first evaluated step at which a curve is at one half or above.
  static func halfway(_ points: [Point]) -> Int? { points.first { $0.value >= 0.5 }?.step }

  private static func learningOrder(of run: RunData) -> String? {
    let corrupt = run.corruptAccuracy
    guard let lastCorrupt = corrupt.last, !run.pristineAccuracy.isEmpty else {
      return halfway(run.pristineAccuracy).map { "Half of the examples were learned by step \(Wording.integer($0))." }
    }
    guard let pristine = halfway(run.pristineAccuracy) else {
      return "Neither half of the pristine nor half of the corrupt examples were learned by step "
        + "\(Wording.integer(lastCorrupt.step))."
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
