// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// YAML that a few bytes make large, or that names numbers in odd ways.
@Suite struct StrictYAMLTests {
  private func read(_ text: String) throws -> TrainingConfiguration {
    try TrainingConfiguration(yaml: text, source: "run.yaml")
  }

  /// Lists whose entries name the list before ten times, as a key and as merges.
  private static func bomb(_ first: String, _ rest: (String, String) -> String) -> [String] {
    let names = "abcdefghij".map(String.init)
    return [first] + zip(names, names.dropFirst()).map { rest($0, $1) }
  }

  private static let keyBomb =
    "? ["
    + bomb("&a [" + Array(repeating: "x", count: 10).joined(separator: ",") + "]") { before, name in
      "&\(name) [" + Array(repeating: "*\(before)", count: 10).joined(separator: ",") + "]"
    }.joined(separator: ", ") + "]\n: 1\n"

  private static let mergeBomb =
    "tags:\n  <<: ["
    + bomb("&a {a: b}") { before, name in
      "&\(name) {<<: [" + Array(repeating: "*\(before)", count: 10).joined(separator: ",") + "]}"
    }.joined(separator: ", ") + "]\n"

  @Test(arguments: [
    "lr: !!python/object:os.system 1", "probe: !list [coherence]", "tags: !!map {a: b}", "lr: !!float 1",
  ])
  func tagsAreRefused(_ text: String) {
    expectError(.configuration, "run.yaml, line 1: tags (!name) are not supported") { _ = try read(text) }
  }

  @Test func bombsAreRefusedAtOnce() {
    let clock = ContinuousClock()
    let time = clock.measure {
      expectError(.configuration, "run.yaml, line 1", "a key must be a word") { _ = try read(Self.keyBomb) }
      expectError(.configuration, "run.yaml, line 2", "merges (<<) are not supported") {
        _ = try read(Self.mergeBomb)
      }
      expectError(.configuration, "anchors (&name) are not supported") { _ = try read("lr: &a 0.1\nmomentum: *a\n") }
      expectError(.configuration, "aliases (*name) are not supported") { _ = try read("lr: *a\n") }
      expectError(.configuration, "a key must be a word") { _ = try read("{a: b}: c\n") }
      expectError(.configuration, "a key must be a word") { _ = try read("[a]: c\n") }
    }
    #expect(time < .seconds(2))
  }

  @Test func depthAndSizeAreBounded() {
    for text in [String(repeating: "[", count: 100_000), String(repeating: "{a: ", count: 100_000)] {
      expectError(.configuration, "run.yaml, line 1", "nested more than 16 deep") { _ = try read("tags: " + text) }
    }
    let deep = String(repeating: "- ", count: 50_000)
    do { _ = try read(deep) } catch { #expect("\(error)".count < 400) }
    expectError(.configuration, "run.yaml is longer than a configuration can be") {
      _ = try read("# " + String(repeating: "x", count: 1 << 20) + "\nlr: 0.1\n")
    }
    expectError(.configuration, "run.yaml is not valid YAML: line 2") { _ = try read("lr: 0.1\n  steps: [\n") }
  }

  /// Base 60, base 16 and words are no numbers here; the first ended the program.
  @Test(arguments: [
    "batch-size: 4611686018427387904:10", "seed: 4611686018427387904:10", "batch-size: 190:20:30", "batch-size: 0x10",
    "steps: 1_000", "batch-size: 1e3", "batch-size: \"20\"", "steps: '30'", "batch-size: 9223372036854775808",
    "seed: -1", "batch-size: ~x",
    "lr: 190:20:30.15", "lr: 0x1p3", "lr: infinity", "lr: 4611686018427387904:10.5", "epochs: 12:30",
  ])
  func oddNumbersAreRefused(_ line: String) {
    let key = String(line.prefix { $0 != ":" })
    expectError(.configuration, "run.yaml, line 1: \(key) must be ") { _ = try read(line + "\n") }
  }

  @Test func plainNumbersAreRead() throws {
    let found = try read("batch-size: +20\nlr: 1e-3\nsteps: 30\nseed: 18446744073709551615\nmomentum: .5\n")
    #expect(found.batchSize == 20 && found.lr == 1e-3 && found.steps == 30 && found.seed == .max)
    #expect(found.momentum == 0.5)
    #expect(try read("tags: {time: 12:30}\n").tags == ["time": "12:30"])
    #expect(try TrainingConfiguration(yaml: found.yaml(), source: "again") == found)
  }

  @Test func whatIsSetIsNamedWithoutALine() throws {
    let base = TrainingConfiguration()
    expectError(.configuration, "--set: lr must be a number, not \"high\"") {
      _ = try base.overridden(by: ["lr": "high"], source: "--set")
    }
    expectError(.configuration, "--set: there is no option \"lrr\"; did you mean \"lr\"?") {
      _ = try base.overridden(by: ["lrr": "1"], source: "--set")
    }
    expectError(.configuration, "--set batch-size is not valid YAML") {
      _ = try base.overridden(by: ["batch-size": "["], source: "--set")
    }
    let changed = try base.overridden(by: ["lr": "0.5", "probe": "[coherence@log]"], source: "--set")
    #expect(changed.lr == 0.5 && changed.probe == ["coherence@log"])
    var own = base
    own.lr = 0.7
    #expect(try own.overridden(by: ["lr": "null"], source: "--set").lr == base.lr)
    own.steps = 9
    #expect(try own.overridden(by: ["epochs": "2"], source: "--set").steps == nil)
  }

  @Test func countsThatOverflowAreRefused() {
    for (key, change) in [
      ("batch-size", { $0.batchSize = .max }), ("subset", { $0.subset = .max }),
      ("eval-every", { $0.evalEvery = .max }),
      ("checkpoint-every", { $0.checkpointEvery = .max }), ("validation", { $0.validation = .max }),
      ("test-subset", { $0.testSubset = .max }),
    ] as [(String, (inout TrainingConfiguration) -> Void)] {
      var configuration = TrainingConfiguration()
      configuration.dataset = "digits"
      change(&configuration)
      expectError(.configuration, "\(key) must be at most") { try configuration.validate() }
      #expect(configuration.totalSteps(for: 1000) >= 1)
    }
  }

  @Test func emptyNamesAreNamed() {
    for (key, change) in [
      ("dataset", { $0.dataset = "" }), ("model", { $0.model = "" }), ("data-dir", { $0.dataDir = "" }),
      ("labels", { $0.labels = "" }), ("split", { $0.split = "" }),
    ] as [(String, (inout TrainingConfiguration) -> Void)] {
      var configuration = TrainingConfiguration()
      change(&configuration)
      expectError(.configuration, "\(key) has an empty name") { try configuration.validate() }
    }
  }

  /// The decay is what makes the weights grow: a smaller learning rate is no remedy.
  @Test func aDecayThatDivergesIsNamed() throws {
    var configuration = TrainingConfiguration()
    configuration.dataset = "digits"
    configuration.weightDecay = 1e308
    expectError(.configuration, "weight-decay 1e+308", "choose a smaller weight-decay") {
      try configuration.validate()
    }
    configuration.weightDecay = 19
    try configuration.validate()
    (configuration.optimizer, configuration.weightDecay) = ("adam", 1e6)
    try configuration.validate()
    configuration.optimizer = "winsorized:s=9223372036854775807"
    let text = message { try configuration.validate() }
    #expect(text.contains("at least 0 and at most 1073741823"), "\(text)")
  }
}
