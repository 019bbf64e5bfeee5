// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import RunStore
import Tensors
import Testing

@testable import Runs
@testable import Training

@Suite struct PredictionChangesProbeTests {
  /// Against predictions taken one example at a time.
  @Test func agreesWithTheDefinition() throws {
    let trainer = try Trainer.make(smallConfiguration { $0.noise = 0.5 })
    let plan = try GradientPlan(trainer.model, store: trainer.store)
    let probe = PredictionChangesProbe()
    try probe.prepare(trainer.setup(plan, chunkSize: 7))
    func predictions() throws -> [Int] {
      try trainer.data.trainIndices.map { index in
        try trainer.model.forward(trainer.data.train.imageTensor(at: [index]), in: .evaluation())
          .argmax(1).values(as: Int.self)[0]
      }
    }
    var (results, seen) = (ProbeResults(), [[Int]]())
    for step in 0..<4 {
      try probe.measure(plan, step: step, into: &results)
      seen.append(try predictions())
      for _ in 0..<5 { _ = try trainer.update() }
    }
    let records = results[PredictionChangesRecord.self]
    let labels = trainer.data.trainIndices.map { trainer.data.labels.assigned[$0] }
    #expect(records.map(\.step) == [0, 1, 2, 3] && records.allSatisfy { $0.m == labels.count })
    #expect(records.map(\.agreeing) == seen.map { zip($0, labels).count { $0 == $1 } })
    #expect(records.map(\.changed) == [nil] + zip(seen, seen.dropFirst()).map { zip($0, $1).count { $0 != $1 } })
    #expect(records.contains { ($0.changed ?? 0) > 0 })
  }
}
