// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import RunStore

@Suite struct ProbeLogTests {
  private func intervals(_ step: Int) -> [CoherenceIntervalRecord] {
    ["all", "hidden.weight"].map { layer in
      CoherenceIntervalRecord(
        step: step, split: "test", layer: layer, m: 400, alphaUnbiasedLow: -1e-3 / 3, alphaUnbiasedHigh: 0.1 + 0.2,
        mCoherenceLow: 0.7, mCoherenceHigh: 2.5, mCoherenceFromBatches: layer == "all" ? 1.0 / 3 : nil)
    }
  }

  private func measures(_ step: Int) -> [MeasureRecord] {
    [
      MeasureRecord(step: step, split: "train", measure: "noise_scale", m: 400, value: 1.0 / 3),
      MeasureRecord(step: step, split: "test", measure: "confusion_bound", m: 399, value: -1e-300),
    ]
  }

  private func exists(_ run: RunDirectory, _ name: String) -> Bool {
    FileManager.default.fileExists(atPath: run.file(name).path)
  }

  @Test func recordsComeBackBitIdentical() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    try log.append([CoherenceIntervalRecord]())
    try log.append([MeasureRecord]())
    #expect(!exists(run, CoherenceIntervalRecord.file) && !exists(run, MeasureRecord.file))
    #expect(try run.log(CoherenceIntervalRecord.self).isEmpty && run.log(MeasureRecord.self).isEmpty)
    for step in [0, 7] {
      try log.append(intervals(step))
      try log.append(measures(step))
    }
    try log.close()
    #expect(try run.log(CoherenceIntervalRecord.self) == intervals(0) + intervals(7))
    #expect(try run.log(MeasureRecord.self) == measures(0) + measures(7))
    let lines = try text(run.file(CoherenceIntervalRecord.file)).split(separator: "\n")
    #expect(
      lines[0] == "step,split,layer,m,alpha_unbiased_low,alpha_unbiased_high,m_coherence_low,m_coherence_high,"
        + "m_coherence_from_batches")
    #expect(lines[2].hasSuffix(",2.5,"))
    #expect(try text(run.file(MeasureRecord.file)).hasPrefix("step,split,measure,m,value\n0,train,noise_scale,400,0.3"))
    #expect(message { try log.append(measures(9)) }.contains("measures.csv was already closed"))
    #expect(message { try log.append(intervals(9)) }.contains("coherence-intervals.csv was already closed"))
  }

  @Test func resumingCutsBackAndDeletes() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    try log.append(measures(0))
    let offsets = try log.flush()
    #expect(offsets.bytes[CoherenceIntervalRecord.file] == nil)
    try log.append(measures(1))
    try log.append(intervals(1))
    let resumed = try run.logWriter(resumingAt: offsets)
    #expect(!exists(run, CoherenceIntervalRecord.file))
    try resumed.append(measures(2))
    #expect(try run.log(MeasureRecord.self) == measures(0) + measures(2))
  }

  @Test func followingSeesNewLines() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let log = try run.logWriter()
    var update = try run.follow()
    try log.append(measures(0))
    update = try run.follow(from: update.offsets)
    #expect(update[MeasureRecord.self] == measures(0) && !update.isEmpty)
    try log.append(intervals(0))
    update = try run.follow(from: update.offsets)
    #expect(
      update[CoherenceIntervalRecord.self] == intervals(0) && update[MeasureRecord.self].isEmpty && !update.isEmpty)
  }

  @Test func exampleGradientsAreAPartOfTheRun() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    try run.write(exampleGradients: Data("x".utf8), step: 600)
    let file = run.exampleGradients.appendingPathComponent("step-00000600.safetensors")
    #expect(try text(file) == "x")
    let partial = run.exampleGradients.appendingPathComponent(temporaryName(for: "step-00000700.safetensors"))
    try Data("half".utf8).write(to: partial)
    try run.logWriter(resumingAt: RunLogOffsets()).close()
    #expect(FileManager.default.fileExists(atPath: file.path) && !FileManager.default.fileExists(atPath: partial.path))
    let fresh = try RunDirectory.create(at: run.url.path, existing: .replace)
    #expect(!FileManager.default.fileExists(atPath: fresh.exampleGradients.path))
    try fresh.write(exampleGradients: Data(), step: 1)
    try fresh.logWriter().close()
    #expect(!FileManager.default.fileExists(atPath: fresh.exampleGradients.path))
  }
}
