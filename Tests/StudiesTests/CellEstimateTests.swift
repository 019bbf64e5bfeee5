// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import Runs
import Training

@testable import Studies

@Suite struct CellEstimateTests {
  private func cell(_ change: (inout TrainingConfiguration) -> Void) -> Cell {
    var configuration = TrainingConfiguration()
    configuration.dataset = "digits"
    configuration.subset = 3000
    configuration.threads = 1
    change(&configuration)
    return .training("cell", "a cell", configuration)
  }

  /// What is estimated to be more than there is must not be found out by taking it.
  @Test func aMiniBatchThatWouldNotFitIsTimedInPart() throws {
    _ = MemoryLimit.forgetPeak()
    let before = MemoryLimit.residentBytes() ?? 0
    var estimator = CellEstimator()
    let cost = try #require(
      try estimator.estimate(
        cell {
          ($0.model, $0.batchSize, $0.epochs, $0.optimizer) = ("resnet18-32", 3000, 2, "winsorized:s=9")
        }))
    #expect(cost.steps == 2 && cost.training > 0 && cost.evaluation > 0)
    #expect(cost.memory > 8 << 30, "\(cost.memory)")
    if let peak = MemoryLimit.peakBytes() { #expect(peak - before < 4 << 30, "\(peak - before)") }
  }

  @Test func aMistakeInACellIsSaid() throws {
    var estimator = CellEstimator()
    let wrong = cell { ($0.model, $0.batchSize) = ("mlp:8", 4000) }
    #expect { try estimator.estimate(wrong) } throws: {
      "\($0)".contains("batch-size 4000 is larger") && "\($0)".contains("Cell cell cannot run")
    }
  }

  /// A probe of more examples than there are would fail every cell of a grid; presets take what there is.
  @Test func aProbeThatIsTooLargeIsSaid() throws {
    var estimator = CellEstimator()
    for words in [["full", "coherence@log"], ["coherence:m=3000@log"], ["median:m=3000@log"]] {
      let fits = cell { ($0.model, $0.batchSize, $0.steps, $0.probe) = ("mlp:8", 100, 4, words) }
      #expect(try estimator.estimate(fits)?.steps == 4)
    }
    for word in ["coherence:m=3001@log", "median:m=3001@log", "examples:m=3001@epoch"] {
      let wrong = cell { ($0.model, $0.batchSize, $0.steps, $0.probe) = ("mlp:8", 100, 4, [word]) }
      #expect { try estimator.estimate(wrong) } throws: {
        "\($0)".contains("a probe of 3001 train examples") && "\($0)".contains("there are 3000")
      }
    }
  }
}
