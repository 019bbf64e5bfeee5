// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Tensors
import Testing
import TestSupport

@testable import Runs
@testable import Training

/// Weights beside the newest: kept, found again, and started from.
@Suite struct KeptWeightsTests {
  /// Evaluations at every fourth step, one of which is the best.
  private static let configuration = smallConfiguration {
    $0.validation = 15
    $0.steps = 40
    $0.lr = 0.5
    $0.evalEvery = 4
    $0.checkpointEvery = 10
  }

  private func names(_ run: TrainingRun) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: run.directory.checkpoints.path).sorted()
  }

  /// The weights of a run stopped at a step, by name.
  private func weights(_ configuration: TrainingConfiguration, at step: Int, _ path: String) throws -> [String: [Float]]
  {
    let run = try startRun(configuration, at: path)
    _ = try run.train(shouldStop: { run.trainer.step == step })
    return try values(SelectedWeights(of: run.directory))
  }

  private func values(_ weights: SelectedWeights) throws -> [String: [Float]] {
    try Safetensors.decode(weights.data()).tensors.mapValues { try $0.values(as: Float.self) }
  }

  @Test func bestAndSelectedWeightsAreThoseOfTheirSteps() throws {
    let scratch = try Scratch()
    let run = try startRun(Self.configuration, at: scratch.path("run"))
    #expect(try run.train() == .completed)
    let milestones = run.trainer.milestones
    for (selection, moment) in [(WeightSelection.best, milestones.best), (.selected, milestones.selected)] {
      let moment = try #require(moment)
      let found = try SelectedWeights(of: run.directory, selection)
      #expect(found.step == moment.step)
      #expect(
        try values(found) == weights(Self.configuration, at: moment.step, scratch.path("to-\(selection.rawValue)")))
      let model = try TrainedModel(run: scratch.path("run"), selection)
      #expect(model.step == moment.step && model.selection == selection)
    }
    #expect(try SelectedWeights(of: run.directory).step == 40)
    // One file for each step, and none that is not named.
    let steps = Set([milestones.best, milestones.selected].compactMap { $0?.step })
    #expect(try names(run).filter { $0.hasPrefix("kept-") }.count == steps.count)
  }

  @Test(arguments: [("last", ["step"]), ("best", ["best", "kept"]), ("selected,last", ["kept", "selected", "step"])])
  func whatIsKept(_ keep: String, _ expected: [String]) throws {
    let scratch = try Scratch()
    var configuration = Self.configuration
    configuration.keep = keep
    let run = try startRun(configuration, at: scratch.path("run"))
    #expect(try run.train() == .completed)
    #expect(try Set(names(run).map { $0.prefix { $0.isLetter } }) == Set(expected.map { $0[...] }))
    if keep == "best" {
      expectError(.checkpoint, "holds no checkpoint", "--select best") { _ = try SelectedWeights(of: run.directory) }
      expectError(.checkpoint, "holds no checkpoint") { _ = try resumeRun(scratch.path("run")) }
    }
    if keep == "last" {
      expectError(.checkpoint, "holds no best weights", "--keep best") {
        _ = try SelectedWeights(of: run.directory, .best)
      }
    }
  }

  @Test func nothingIsSelectedWithoutValidation() throws {
    let scratch = try Scratch()
    var configuration = Self.configuration
    configuration.validation = 0
    let run = try startRun(configuration, at: scratch.path("run"))
    _ = try run.train()
    expectError(.checkpoint, "holds no selected weights", "--validation") {
      _ = try SelectedWeights(of: run.directory, .selected)
    }
  }

  /// Stopped anywhere, also between two evaluations, a run keeps what the whole run keeps.
  @Test func aStopChangesNothingOfIt() throws {
    let scratch = try Scratch()
    _ = try startRun(Self.configuration, at: scratch.path("whole")).train()
    for stop in [3, 17, 36] {
      let path = scratch.path("run-\(stop)")
      let run = try startRun(Self.configuration, at: path)
      _ = try run.train(shouldStop: { run.trainer.step == stop })
      _ = try resumeRun(path).train()
      try expectSameEnd(scratch.path("whole"), path)
    }
  }

  @Test func aDamagedFileIsNamed() throws {
    let scratch = try Scratch()
    let run = try startRun(Self.configuration, at: scratch.path("run"))
    _ = try run.train()
    let weights = try SelectedWeights(of: run.directory, .best)
    var bytes = try Data(contentsOf: weights.url)
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: weights.url)
    expectError(.checkpoint, weights.url.path, "damaged") { _ = try TrainedModel(run: scratch.path("run"), .best) }
    let description = run.directory.checkpoints.appendingPathComponent("best.json")
    try Data("{".utf8).write(to: description)
    expectError(.checkpoint, description.path, "--select last") {
      _ = try SelectedWeights(of: run.directory, .best)
    }
  }

  /// A run can start from the weights of another one.
  @Test func startingFromARun() throws {
    let scratch = try Scratch()
    let first = try startRun(Self.configuration, at: scratch.path("first"))
    _ = try first.train()
    let best = try SelectedWeights(of: first.directory, .best)
    let configuration = smallConfiguration {
      $0.weights = scratch.path("first")
      $0.select = .best
    }
    let second = try startRun(configuration, at: scratch.path("second"))
    let start = try Dictionary(
      uniqueKeysWithValues: second.trainer.weights().map { ($0.name, try $0.tensor.values(as: Float.self)) })
    #expect(try start == values(best))
    #expect(try second.directory.config().contains("weights: \(best.url.path)"))
    #expect(try second.directory.manifest().extra["weights"] == "first/" + best.url.lastPathComponent)
    _ = try second.train(shouldStop: { second.trainer.step == 3 })
    #expect(try resumeRun(scratch.path("second")).trainer.step == 3)
    expectError(.configuration, "select", "is not a run directory") {
      _ = try startRun(
        smallConfiguration {
          $0.weights = best.url.path
          $0.select = .best
        }, at: scratch.path("third"))
    }
    #expect(message { try smallConfiguration { $0.select = .best }.validate() }.contains("give weights too"))
    #expect(message { try smallConfiguration { $0.keep = "first" }.validate() }.contains("best, selected, last"))
  }
}

/// Runs that become longer than they were to be.
@Suite struct ExtensionTests {
  private static let configuration = smallConfiguration {
    $0.steps = 12
    $0.evalEvery = 4
    $0.momentum = 0.9
    $0.lr = 0.02
  }

  private func resume(_ path: String, _ length: RunLength) throws -> TrainingRun {
    try TrainingRun(resuming: path, to: length, tool: .init(version: "test"))
  }

  /// With a rate that does not depend on the length, an extended run is the longer run, also when it was complete.
  @Test(arguments: ["constant", "step:6,15:0.5"], [12, 7])
  func theWeightsAreThoseOfALongerRun(_ schedule: String, _ stop: Int) throws {
    let scratch = try Scratch()
    var configuration = Self.configuration
    configuration.schedule = schedule
    var longer = configuration
    longer.steps = 20
    let (whole, path) = (scratch.path("whole"), scratch.path("run"))
    _ = try startRun(longer, at: whole).train()
    let run = try startRun(configuration, at: path)
    _ = try run.train(shouldStop: { run.trainer.step == stop })
    let extended = try resume(path, .steps(20))
    #expect(!extended.isComplete && extended.trainer.step == stop)
    #expect(extended.notes.contains { $0.contains("after 20 steps instead of 12") && $0.contains("does not depend") })
    #expect(try extended.train() == .completed)
    try expectSameEnd(whole, path)
    let manifest = try extended.directory.manifest()
    #expect(manifest.plannedSteps == 20 && manifest.summary?.steps == 20)
    #expect(try extended.directory.config().contains("steps: 20"))
    #expect(try extended.directory.events().contains { $0.message?.contains("instead of 12") == true })
    // Stopped and resumed once more, it knows its length.
    #expect(try resumeRun(path).isComplete)
  }

  @Test func aCosineIsStretchedAndSaysSo() throws {
    let scratch = try Scratch()
    var configuration = Self.configuration
    configuration.schedule = "cosine"
    configuration.lr = 0.1
    let path = scratch.path("run")
    _ = try startRun(configuration, at: path).train()
    let run = try resume(path, .steps(24))
    #expect(run.notes.contains { $0.contains("continues at 0.05, not at 0") })
    // Half-way of the new length.
    #expect(abs(try run.trainer.update().learningRate - 0.05) < 1e-12)
  }

  @Test func whatCannotBe() throws {
    let scratch = try Scratch()
    let path = scratch.path("run")
    _ = try startRun(Self.configuration, at: path).train()
    let before = try lastingFiles(path)
    expectError(.configuration, "has made 12 steps already", "more --steps") { _ = try resume(path, .steps(11)) }
    #expect(message { _ = try resume(path, .steps(0)) }.contains("steps must be"))
    #expect(message { _ = try resume(path, .epochs(-1)) }.contains("epochs must be"))
    #expect(try resume(path, .steps(12)).isComplete)
    #expect(try lastingFiles(path) == before)
    // Sixty examples in batches of ten.
    #expect(try resume(path, .epochs(4)).trainer.steps == 24)
  }
}
