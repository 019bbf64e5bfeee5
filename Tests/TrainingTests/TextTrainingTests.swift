// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import TestSupport
import Testing

@testable import Runs
@testable import Training

/// Trainings on the bytes of text files.
@Suite struct TextTrainingTests {
  private func configuration(
    _ scratch: Scratch, _ change: (inout TrainingConfiguration) -> Void = { _ in }
  ) throws -> TrainingConfiguration {
    let path = scratch.path("text.txt")
    try Data(String(repeating: "abcab cabba. ", count: 60).utf8).write(to: URL(fileURLWithPath: path))
    return smallConfiguration {
      ($0.dataset, $0.dataDir, $0.subset, $0.testSubset) = ("text:8", path, 60, 10)
      $0.model = "transformer:layers=1,width=8,heads=2,tied=yes"
      ($0.optimizer, $0.lr, $0.batchSize, $0.noise) = ("adamw", 0.01, 10, 0)
      change(&$0)
    }
  }

  @Test(arguments: ["adamw", "winsorized:s=2+adamw", "m3+adamw", "rm3+adamw"], [ExampleMeaning.token, .sequence])
  func everyAverageLearns(_ word: String, _ example: ExampleMeaning) throws {
    let scratch = try Scratch()
    let trainer = try Trainer.make(configuration(scratch) { ($0.optimizer, $0.example) = (word, example) })
    let before = try #require(try trainer.evaluate().first)
    for _ in 0..<30 { _ = try trainer.update() }
    let after = try #require(try trainer.evaluate().first)
    #expect(after.loss < 0.99 * before.loss, "\(before.loss) to \(after.loss)")
  }

  @Test(arguments: [nil, ExampleMeaning.token, .sequence])
  func theManifestSaysWhatAnExampleIs(_ example: ExampleMeaning?) throws {
    let scratch = try Scratch()
    let run = try startRun(
      configuration(scratch) {
        ($0.example, $0.probe) = (example, ["coherence:m=20@every:10", "examples:m=10@every:20"])
      }, at: scratch.path("run"))
    #expect(try run.train() == .completed)
    let manifest = try run.directory.manifest()
    #expect(manifest.extra["example"] == (example ?? .token).rawValue && manifest.dataset.testFraction == 0.2)
    #expect(manifest.dataset.files.keys.sorted() == ["text.txt"])
    let model = try TrainedModel(run: scratch.path("run"))
    #expect(model.dataset.predictsAll == (example == .sequence))
    #expect(try model.coherence(examples: 20).network.coherence.m == 20)
  }

  /// The loss of a step is the mean of the losses that evaluation finds.
  @Test(arguments: [ExampleMeaning.token, .sequence]) func lossesAgree(_ example: ExampleMeaning) throws {
    let scratch = try Scratch()
    let trainer = try Trainer.make(configuration(scratch) { ($0.example, $0.batchSize) = (example, 60) })
    let evaluated = try #require(try trainer.evaluate().first)
    #expect(abs(try trainer.update().loss - evaluated.loss) < 1e-5)
  }

  @Test func onlyTextHasAMeaningToChoose() throws {
    #expect(message { try smallConfiguration { $0.example = .sequence }.validate() }.contains("leave it out for mnist"))
    let yaml = "dataset: text\nexample: words\n"
    #expect(
      message { _ = try TrainingConfiguration(yaml: yaml, source: "run.yaml") }.contains("one of token, sequence"))
  }
}
