// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import Studies

/// WS-1, MC-5 and GM-3: every rule says each of the three verdicts.
@Suite struct ArchitectureTests {
  private func noisy(_ model: String) -> [SampleRun] { LabelNoiseTests.paper.map { $0.with { $0.model = model } } }

  @Test func labelNoiseOnLargeNetworks() throws {
    try expect("WS-1", .held, on: noisy("resnet18-32"), saying: "(a) held", "(c) held")
    try expect("WS-1", .inconclusive, on: noisy("vgg13_bn").filter { $0.noise != 0.25 }, saying: "25 % noise")
    try expect("WS-1", .inconclusive, on: noisy("mlp:2048"), saying: "0 % noise")
    let slow = noisy("inception_v3").map { run in
      run.noise == 1 ? run.with { $0.train = { _ in 0.9 } } : run
    }
    try expect("WS-1", .didNotHold, on: slow, saying: "(a) did not hold")
    let short = noisy("resnet18").map { run in run.noise == 0 ? run.with { $0.train = { _ in 0.4 } } : run }
    try expect("WS-1", .notTested, on: short, saying: "only 40 % of the real labels are learned")
    let scratch = try Scratch()
    let card = try ScoreCard(
      runs: (noisy("resnet18") + noisy("vgg13")).map { try $0.write(in: scratch) }, claims: ["WS-1"])
    #expect(card.verdicts.map(\.outcome) == [.held, .held])
  }

  private func layered(_ model: String, _ change: (inout SampleRun) -> Void = { _ in }) -> SampleRun {
    var run = CoherenceTests.run(0, peak: 100, at: 400).with { $0.model = model }
    run.extra["norm"] = "group:8"
    run.layers = ["conv1", "layer1.0.conv1", "features.1.0", "Mixed.branch.conv", "layer1.0.bn1", "fc"].map { name in
      let peak = MC5.isConvolution(name) ? 60.0 : 30.0
      return (name, { CoherenceTests.course($0, peak: peak, at: 400) })
    }
    change(&run)
    return run
  }

  private static let models = ["resnet18-32", "efficientnet_b0", "inception_v3"]

  @Test func layersAndArchitecturesAlike() throws {
    let runs = Self.models.map { layered($0) }
    try expect("MC-5", .held, on: runs)
    try expect(
      "MC-5", .inconclusive, on: Array(runs.prefix(2)), saying: "there is no Inception with coherence by layer")
    try expect("MC-5", .inconclusive, on: Array(runs.prefix(2)) + [layered(Self.models[2]) { $0.layers = [] }])
    let flat = layered(Self.models[2]) { run in
      run.layers = run.layers.map { ($0.name, { CoherenceTests.course($0, peak: 0, at: 400) }) }
    }
    try expect("MC-5", .didNotHold, on: Array(runs.prefix(2)) + [flat], saying: "three layers of four rise and return")
    let unfitted = flat.with { $0.train = { _ in 0.5 } }
    try expect(
      "MC-5", .inconclusive,
      on: Array(runs.prefix(2))
        + [unfitted].map { run in
          run.with { $0.layers[5].course = { CoherenceTests.course($0, peak: -0.5, at: 400) } }
        }, saying: "has not fitted its labels")
    try expect("MC-5", .notTested, on: runs.map { $0.with { $0.extra = [:] } }, saying: "takes --norm group:8")
    let below = layered(Self.models[0]) { run in
      run.layers[5].course = { CoherenceTests.course($0, peak: 90, at: 400) }
    }
    try expect("MC-5", .didNotHold, on: [below] + runs.suffix(2), saying: "convolutions of four lie above")
    #expect(MC5.isConvolution("features.3.1.block.1.0") && !MC5.isConvolution("features.3.1.block.1.1"))
    #expect(!MC5.isConvolution("fc") && !MC5.isConvolution("classifier.1") && MC5.isConvolution("Conv2d_1a_3x3.conv"))
  }

  @Test func mediansOnAResNet() throws {
    let runs = ["sgd", "m3"].map { name in
      SampleRun(
        noise: 0.5, optimizer: name, model: "resnet18-32", batchSize: name == "m3" ? 102 : 100,
        pristine: { _ in 0.95 }, corrupt: { _ in name == "m3" ? 0.05 : 0.9 })
    }
    try expect("GM-3", .held, on: runs)
    try expect("GM-3", .inconclusive, on: [runs[1]], saying: "sgd, 50 % noise")
    try expect(
      "GM-3", .didNotHold, on: [runs[0], runs[1].with { $0.corrupt = { _ in 0.5 } }], saying: "m3 learns more")
    try expect(
      "GM-3", .notTested, on: runs.map { $0.with { $0.corrupt = { _ in 0.3 } } }, saying: "SGD has learned 30 %")
    try expect("GM-3", .inconclusive, on: runs.map { $0.with { $0.model = "mlp:8" } })
    let scratch = try Scratch()
    let card = try ScoreCard(runs: runs.map { try $0.write(in: scratch) })
    let ids = card.verdicts.map(\.claim.id)
    #expect(ids.contains("GM-3") && !ids.contains("WS-3") && !ids.contains("WS-2"))
  }
}
