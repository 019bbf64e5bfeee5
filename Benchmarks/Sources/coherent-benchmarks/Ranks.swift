// SPDX-License-Identifier: Apache-2.0

import Aggregation
import ArgumentParser
import Collectives
import Foundation
import Runs
import Tensors
import Training

extension Benchmarks {
  /// ranks-OPTIMIZER-MODEL: a step of the batch that as many processes share as there are threads, each with a thread of
  /// its own. The first process starts the others.
  func ranked() throws {
    let (_, optimizerWord, model) = try kindWorkAndModel()
    let count = threads
    try Runtime.setThreadCount(1)
    var launch = try Launch()
    var others: [Process] = []
    if launch.count == 1 {
      let port = Int(20000 + getpid() % 10000)
      launch = Launch(rank: 0, count: count, port: port)
      others = try (1..<count).map { rank in
        let process = Process()
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
        process.arguments = Array(CommandLine.arguments.dropFirst())
        process.environment = ProcessInfo.processInfo.environment.merging([
          "RANK": "\(rank)", "WORLD_SIZE": "\(count)", "MASTER_PORT": "\(port)", "OMP_NUM_THREADS": "1",
        ]) { $1 }
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        return process
      }
    }
    let group = try ProcessGroup(launch, timeout: .seconds(120))
    let work = try NetworkWork(model: model, batch: batch, image: image ?? 32, norm: norm)
    let aggregator = try AggregatorSpecification(optimizerWord).make()
    let step = try TrainingStep(
      work.model, store: work.store, aggregator: aggregator, linearPolicy: work.policy, generator: Generator(seed: 3),
      batchNormGroups: norm == "batch" && (aggregator as? any GradientMatrixAggregator)?.groupCount == nil
        ? count : nil, group: group)
    let range = step.part(batch)
    let inputs = try work.inputs.narrow(0, from: range.lowerBound, length: range.count)
    let labels = try work.labels.narrow(0, from: range.lowerBound, length: range.count)
    let optimizer = try SGD()
    // As many steps on every rank.
    func update() throws {
      let result = try step.aggregate(inputs, ofBatch: batch) { try $0.crossEntropy(targets: labels) }
      _ = try step.didStep(isFinite: optimizer.step(step.updated, result.aggregate, learningRate: 1e-3))
    }
    for _ in 0..<5 { try update() }
    let before = group.bytesSent
    var times: [Double] = []
    for _ in 0..<samples {
      let begun = DispatchTime.now().uptimeNanoseconds
      try update()
      times.append(Double(DispatchTime.now().uptimeNanoseconds - begun) / 1e6)
    }
    if launch.rank == 0 {
      var measurement = Measurement(name: name, milliseconds: times, variant: "\(count) ranks")
      measurement.bytesSent = (group.bytesSent - before) / samples
      try measurement.print()
    }
    try group.barrier()
    group.leave()
    for process in others { process.waitUntilExit() }
  }
}
