// SPDX-License-Identifier: Apache-2.0

import Foundation
import Reports
import RunStore

/// A run as the figures see it: what the rules see, and what only figures show.
struct FigureRun {
  let run: StudyRun
  let directory: RunDirectory

  init(_ directory: RunDirectory) throws {
    self.directory = directory
    run = try StudyRun(directory)
  }

  var manifest: RunManifest { run.manifest }

  /// Which part of the data set it was trained on: the name of the split, or the groups of its training examples; `all`
  /// without any.
  var trainedOn: String {
    if let split = run.split { return split }
    let groups = groups(of: "train")
    return groups.isEmpty ? "all" : groups.joined(separator: " and ")
  }

  /// The groups of a split beside all, pristine and corrupt.
  func groups(of split: String) -> [String] {
    run.groups(of: split).filter { !["all", "pristine", "corrupt"].contains($0) }
  }

  func loss(_ split: String, _ group: String = "all") -> Curve { run.loss(split, group) }

  /// m-coherence where it is above 0, as a logarithmic axis needs it.
  func coherence(_ split: String, layer: String = "all") -> Curve {
    Curve(run.coherence(split, layer: layer).points.lazy.filter { $0.value > 0 }.map { ($0.step, $0.value) })
  }

  func measure(_ name: String) -> Curve { run.measure(name) }

  /// ta − va at the steps that have both.
  var gap: Curve {
    let test = run.accuracy("test")
    return Curve(
      run.accuracy("train").points.compactMap { point in test[point.step].map { (point.step, point.value - $0) } })
  }

  /// Passes over the training set for each step.
  var epochsPerStep: Double {
    if let known = run.epochsPerStep { return known }
    guard let size = manifest.batchSize, let examples = manifest.dataset.trainExamples, examples > 0 else { return 0 }
    return Double(size) / Double(examples)
  }

  /// The optimizer's setting after the last `=`, such as 2 in `winsorized:s=2`; 0 for SGD.
  var clipped: Int? {
    if run.optimizer.isSGD { return 0 }
    guard run.optimizer.name == "winsorized", let word = manifest.optimizer else { return nil }
    return word.split(separator: "=").last.flatMap { Int($0) }
  }
}

/// What the horizontal axis of curves along training shows.
enum Abscissa {
  case steps, evenSteps, epochs

  var axis: FigureAxis {
    switch self {
    case .steps: .steps
    case .evenSteps: .linearSteps
    case .epochs: FigureAxis("Epoch")
    }
  }

  func place(_ step: Int, in run: FigureRun) -> Double {
    self == .epochs ? Double(step) * run.epochsPerStep : Double(step)
  }
}

/// The mean of values, with their range where there are several.
struct SeedRange {
  let mean: Double
  let low, high: Double?

  /// Nil without finite values.
  init?(_ values: [Double]) {
    let finite = values.filter(\.isFinite)
    guard !finite.isEmpty else { return nil }
    mean = finite.reduce(0, +) / Double(finite.count)
    low = finite.count > 1 ? finite.min() : nil
    high = finite.count > 1 ? finite.max() : nil
  }
}

extension FigureLine {
  /// The mean over runs of a curve, with their range, at the steps that all of them have: a mean over other runs at
  /// every step would jump. Runs without the curve do not count.
  init(
    _ series: String, measure: String? = nil, of runs: [FigureRun], along abscissa: Abscissa,
    _ curve: (FigureRun) -> Curve
  ) {
    let all = runs.map { (run: $0, curve: curve($0)) }.filter { !$0.curve.isEmpty }
    guard let first = all.first else {
      self.init(series, measure: measure, points: [])
      return
    }
    let points = first.curve.points.compactMap { point -> FigurePoint? in
      let values = all.compactMap { $0.curve[point.step] }
      guard values.count == all.count, let range = SeedRange(values) else { return nil }
      return FigurePoint(
        x: abscissa.place(point.step, in: first.run), y: range.mean, low: range.low, high: range.high)
    }
    self.init(series, measure: measure, points: points)
  }

  /// One value for each place, with its range over seeds.
  init(_ series: String, measure: String? = nil, values: [(x: Double, values: [Double])]) {
    let points = values.sorted { $0.x < $1.x }.compactMap { x, values in
      SeedRange(values).map { FigurePoint(x: x, y: $0.mean, low: $0.low, high: $0.high) }
    }
    self.init(series, measure: measure, points: points)
  }
}
