// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Runs
@testable import Training

@Suite struct MemoryEstimateTests {
  @Test func refusesWithTheRemedy() throws {
    let estimate = MemoryEstimate(
      base: 100 << 20, parameters: 10 << 20, gradient: 10 << 20, optimizer: 10 << 20, training: 3 << 30,
      evaluation: 1 << 30)
    #expect(estimate.total == (130 << 20) + (4 << 30))
    try estimate.check(against: nil, batchSize: 64)
    try estimate.check(against: estimate.total, batchSize: 64)
    #expect {
      try estimate.check(against: 1 << 30, batchSize: 64)
    } throws: { error in
      ["4.1 GB", "3.0 GB for a mini-batch of 64", "1.0 GB is available", "--batch-size", "--ignore-memory-estimate"]
        .allSatisfy { "\(error)".contains($0) }
    }
  }

  @Test func aTrainerRefusesWhatDoesNotFit() throws {
    var configuration = TrainingConfiguration()
    configuration.dataset = "digits"
    configuration.subset = 40
    configuration.steps = 1
    configuration.batchSize = 20
    configuration.model = "mlp:1048576,1048576,1048576"
    // The parameters alone are 8 TB: refused before they are made.
    #expect {
      _ = try ConfiguredTraining(configuration, memoryLimit: 1 << 40)
    } throws: { error in
      "\(error)".contains("for parameters")
    }
    configuration.model = "resnet20"
    #expect(throws: TrainingError.self) { _ = try ConfiguredTraining(configuration, memoryLimit: 1 << 20) }
    let training = try ConfiguredTraining(configuration)
    let estimate = try #require(training.memoryEstimate)
    #expect(estimate.parameters == training.trainer.store.count * 4 && estimate.optimizer == 0)
    #expect(estimate.training > 10 << 20 && estimate.training < 100 << 20)
    #expect(estimate.evaluation > 1 << 20 && estimate.evaluation <= 33 << 20)
    configuration.optimizer = "rm3"
    configuration.momentum = 0.5
    configuration.allowMomentum = true
    #expect(try ConfiguredTraining(configuration).memoryEstimate?.optimizer == 3 * estimate.parameters)
  }

  @Test func limitsOfTheSystem() throws {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("system-\(UUID())").path + "/"
    defer { try? FileManager.default.removeItem(atPath: root) }
    func write(_ path: String, _ text: String) throws {
      let url = URL(fileURLWithPath: root + path)
      try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: url)
    }
    #expect(MemoryLimit.current(root: root) == nil)
    try write("proc/meminfo", "MemTotal:  9999 kB\nMemAvailable:    4000 kB\n")
    #expect(MemoryLimit.current(root: root) == 4000 << 10)
    try write("proc/self/status", "Name:\tx\nVmRSS:\t    50 kB\n")
    #expect(MemoryLimit.current(root: root) == 4050 << 10)
    try write("proc/self/cgroup", "0::/a/b\n")
    try write("sys/fs/cgroup/a/b/memory.max", "max\n")
    #expect(MemoryLimit.current(root: root) == 4050 << 10)
    try write("sys/fs/cgroup/a/memory.max", "1048576\n")
    #expect(MemoryLimit.current(root: root) == 1 << 20)
    try write("proc/self/cgroup", "5:cpu,memory:/c\n4:cpu:/a\n")
    try write("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "2097152\n")
    #expect(MemoryLimit.current(root: root) == 2 << 20)
    #expect(try #require(MemoryLimit.current()) > 1 << 20)
  }

  /// What was held and given back before counts no more.
  @Test func peaksBeginAnew() throws {
    func hold(_ megabytes: Int) -> Int {
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: megabytes << 20, alignment: 4096)
      defer { bytes.deallocate() }
      for place in stride(from: 0, to: bytes.count, by: 4096) { bytes[place] = 1 }
      return MemoryLimit.peakBytes() ?? 0
    }
    let high = hold(512)
    try #require(MemoryLimit.forgetPeak(), "the system has no such thing")
    let start = try #require(MemoryLimit.peakBytes())
    #expect(start < high - (300 << 20))
    #expect(hold(64) > start + (40 << 20) && hold(1) < high)
  }
}
