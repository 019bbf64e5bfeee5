// SPDX-License-Identifier: Apache-2.0

import Charts
import RunStore
import Datasets
import Foundation

/// What the ledger of pushes says beforehand about what an optimizer will memorise. No paper's claim: the measure is this
/// project's own.
struct GS1: PooledRule {
  /// Below 0 at this level the order is the other way.
  static let levels = (low: 0.025, high: 0.975)
  /// Bootstrap samples for the interval.
  static let samples = 999
  /// With fewer settings and optimizers a rank correlation is hardly known.
  static let minimumPoints = 6

  let claim = Claim(
    id: "GS-1",
    sentence:
      "The net push on corrupt examples, taken along SGD, orders what SGD, RM3 and M3 memorise: the larger its share of all "
      + "pushes, the more corrupt labels are learned in the end.",
    paper: Paper.thisProject, section: "the ledger of pushes", setting: Paper.thisSetting)

  func reads(_ run: RunHistory) -> Bool {
    Level.isEqual(run.noise, WS3.level) && PushPoint.optimizers.contains(run.optimizer.name)
  }
  func isSpokenAbout(by runs: [RunHistory]) -> Bool { !PushPoint.points(of: runs).isEmpty }

  func judge(_ runs: [RunHistory]) -> Judgement {
    var assessment = Assessment()
    let points = PushPoint.points(of: runs)
    guard points.count >= Self.minimumPoints else {
      assessment.miss("\(Self.minimumPoints) pairs of a setting and an optimizer with the probe push along SGD")
      return assessment.judgement(held: "")
    }
    let (x, y) = (points.map(\.share), points.map(\.learned))
    guard let rho = RankCorrelation(x, y) else {
      assessment.leaveOpen("pushes or what is memorised are all alike")
      return assessment.judgement(held: "")
    }
    // Settings are drawn with their optimizers: what belongs together is not independent.
    let settings = Dictionary(grouping: points.indices) { points[$0].setting }.sorted { $0.key < $1.key }.map(\.value)
    var generator = SeededGenerator(seed: 1, stream: .probe)
    let values = (0..<Self.samples).compactMap { _ -> Double? in
      let drawn = settings.flatMap { _ in settings[generator.integer(below: settings.count)] }
      return RankCorrelation(drawn.map { x[$0] }, drawn.map { y[$0] })?.value
    }.sorted()
    assessment.note("rank correlation over \(points.count) pairs of a setting and an optimizer", rho.value)
    assessment.note("settings", Double(settings.count))
    guard values.count > Self.samples / 2 else {
      assessment.leaveOpen("there are too few settings for an interval")
      return assessment.judgement(held: "")
    }
    func quantile(_ share: Double) -> Double { values[Int(clamping: share * Double(values.count - 1))] }
    let (low, high) = (quantile(Self.levels.low), quantile(Self.levels.high))
    assessment.note("lower end of its 95 % interval (bootstrap over settings)", low)
    assessment.note("upper end of its 95 % interval (bootstrap over settings)", high)
    if high <= 0 {
      assessment.fail("the rank correlation is not positive")
    } else if low <= 0 {
      assessment.leaveOpen("the interval of the rank correlation contains 0")
    }
    return assessment.judgement(held: "The rank correlation is positive, and so is all of its 95 % interval")
  }
}

/// What the ledger along SGD says about an optimizer in a setting, and what that optimizer memorised there: means over
/// seeds.
struct PushPoint {
  static let optimizers = ["sgd", "rm3", "m3"]
  /// Which looks count: from one pass on, before there is nothing to memorise from, to ten.
  static let passes = 1.0...10.0

  let setting: String
  /// The setting in few words: data, examples, model, groups.
  let title: String
  let optimizer: String
  /// Training examples by the size of the groups whose means a median takes; of SGD those of its mini-batch.
  let examplesPerGroup: Double
  /// net(corrupt) / (|net(corrupt)| + |net(pristine)|), from −1 to 1: the mean over looks and seeds.
  let share: Double
  /// The share of the corrupt labels learned at the end.
  let learned: Double
  /// The same by SGD.
  let learnedBySGD: Double

  /// The points of runs with 50 % noise; settings without the probe along SGD, or without an optimizer, have none of them.
  static func points(of runs: [RunHistory]) -> [PushPoint] {
    let fixed: [Factor] = [.dataset, .examples, .augmentation, .model, .normalization, .learningRate, .momentum]
    let settings = Dictionary(grouping: runs) { run in
      let size = run.manifest.batchSize.map { run.optimizer.name == "m3" ? $0 / 3 : $0 } ?? 0
      return (fixed.map { $0.text(of: run) } + ["groups of \(size)"]).filter { !$0.isEmpty }.joined(separator: ", ")
    }
    return settings.sorted { $0.key < $1.key }.flatMap { setting, runs -> [PushPoint] in
      func own(_ name: String) -> [RunHistory] { runs.filter { $0.optimizer.name == name }.onePerSeed }
      guard let plain = mean(own("sgd").compactMap(learned)) else { return [] }
      return optimizers.compactMap { name in
        guard let share = mean(own("sgd").flatMap { shares(of: $0, name) }),
          let end = mean(own(name).compactMap(learned)),
          let size = own("sgd").first?.manifest.batchSize, let all = runs.first?.manifest.dataset.trainExamples
        else { return nil }
        return PushPoint(
          setting: setting, title: title(runs[0].manifest, groupSize: size), optimizer: name,
          examplesPerGroup: Double(all) / Double(size), share: share, learned: end,
          learnedBySGD: plain)
      }
    }
  }

  private static func title(_ manifest: RunManifest, groupSize: Int) -> String {
    let examples = manifest.dataset.trainExamples.map { " " + Wording.integer($0) } ?? ""
    return "\(manifest.dataset.name)\(examples), \(manifest.model), groups of \(groupSize)"
  }

  private static func shares(of run: RunHistory, _ name: String) -> [Double] {
    let (corrupt, pristine) = (run.measure("push_net_corrupt_\(name)"), run.measure("push_net_pristine_\(name)"))
    let perStep = run.epochsPerStep
    guard perStep > 0 else { return [] }
    return corrupt.points.compactMap { point in
      guard passes.contains(Double(point.step) * perStep), let other = pristine[point.step],
        abs(point.value) + abs(other) > 0
      else { return nil }
      return point.value / (abs(point.value) + abs(other))
    }
  }

  private static func learned(_ run: RunHistory) -> Double? { run.accuracy("train", "corrupt").last?.value }

  private static func mean(_ values: [Double]) -> Double? {
    values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }
}
