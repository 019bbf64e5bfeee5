// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import RunStore

/// Runs that were edited, damaged, or written by somebody else.
@Suite struct ForeignRunTests {
  private func manifest(_ scratch: Scratch, _ change: (inout [String: Any]) -> Void) throws -> RunDirectory {
    let run = try scratch.newRun()
    let file = run.url.appendingPathComponent("manifest.json")
    var object = try #require(
      JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
    change(&object)
    try JSONSerialization.data(withJSONObject: object).write(to: file)
    return run
  }

  /// Numbers that would overflow, or be no shares, are named with file and key.
  @Test(arguments: [
    ("batch_size", "9223372036854775807"), ("batch_size", "-1"), ("planned_steps", "4611686018427387904"),
    ("noise.rate", "1e300"), ("noise.rate", "-0.5"), ("noise.realised_rate", "7"), ("dataset.classes", "-9"),
    ("dataset.train_examples", "9223372036854775807"), ("summary.steps", "-1"), ("summary.wall_seconds", "1e300"),
    ("summary.wall_seconds", "-1"), ("summary.processor_seconds", "-1"),
    ("summary.peak_rss_bytes", "9223372036854775807"),
    ("summary.last.step", "9223372036854775807"), ("summary.last.train_accuracy", "1e300"),
    ("machine.threads", "-1"), ("parameter_count", "9223372036854775807"), ("warmup", "-2"),
    ("dataset.test_fraction", "1e300"), ("learning_rate", "\"inf\""), ("weight_decay", "\"nan\""),
  ])
  func numbersOfManifestsAreChecked(_ key: String, _ value: String) throws {
    let scratch = try Scratch()
    let run = try manifest(scratch) { object in
      let parsed = try? JSONSerialization.jsonObject(with: Data(value.utf8), options: .fragmentsAllowed)
      func put(_ path: [String], into object: inout [String: Any]) {
        guard path.count > 1 else { return object[path[0]] = parsed }
        var inner = object[path[0]] as? [String: Any] ?? [:]
        put(Array(path.dropFirst()), into: &inner)
        object[path[0]] = inner
      }
      put(key.split(separator: ".").map(String.init), into: &object)
    }
    let text = message { _ = try run.manifest() }
    #expect(text.contains("manifest.json") && text.contains(key), "\(text)")
  }

  @Test func whatRunsWritePasses() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    var manifest = sampleManifest()
    manifest.summary?.last?.testAccuracy = .nan
    (manifest.learningRate, manifest.weightDecay) = (1e300, 0)
    try run.write(manifest: manifest)
    #expect(try run.manifest().learningRate == 1e300)
  }

  @Test(arguments: [
    ("metrics.csv", "1,9223372036854775807,train,all,100,1.0,0.5,", "column step"),
    ("metrics.csv", "1,-1,train,all,100,1.0,0.5,", "column step"),
    ("metrics.csv", "1,1,train,all,1000000000001,1.0,0.5,", "column count"),
    ("metrics.csv", "1e300,1,train,all,100,1.0,0.5,", "column epoch"),
    ("metrics.csv", "1,1,train,all,100,1.0,1e300,", "column acc1"),
    ("metrics.csv", "1,1,train,all,100,1.0,-11,", "column acc1"),
    ("coherence.csv", "1,train,all,100,0.1,1e300,,,none", "column m_coherence"),
    ("coherence.csv", "1,train,all,100,9e18,1,,,none", "column alpha"),
    ("coherence.csv", "1,train,all,9223372036854775807,0.1,1,,,none", "column m"),
    ("coherence.csv", "1,train,a,100,0.1,1,,-50,none", "column share"),
  ])
  func numbersOfLogsAreChecked(_ file: String, _ line: String, _ expected: String) throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let header =
      file == "metrics.csv"
      ? "epoch,step,split,group,count,loss,acc1,acc5"
      : "step,split,layer,m,alpha,m_coherence,alpha_unbiased,share,bn_policy"
    try scratch.write("\(header)\n\(line)\n", "run/\(file)")
    let text = message {
      _ = try run.log(MetricRecord.self)
      _ = try run.log(CoherenceRecord.self)
    }
    #expect(text.contains("\(file):2: \(expected)"), "\(text)")
    #expect(!message { _ = try RunHistory(run) }.isEmpty)
  }

  /// Rounding may lift α a little above 1, and a loss that diverged is no number.
  @Test func whatTrainingsWritePasses() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    try scratch.write(
      "epoch,step,split,group,count,loss,acc1,acc5\n1,1,train,all,100,nan,0.5,\n2,2,train,all,100,inf,nan,1\n",
      "run/metrics.csv")
    try scratch.write(
      "step,split,layer,m,alpha,m_coherence,alpha_unbiased,share,bn_policy\n"
        + "1,train,all,3,1.0000001,3.0000003,-0.4,,none\n", "run/coherence.csv")
    #expect(try run.log(MetricRecord.self).count == 2 && run.log(CoherenceRecord.self).count == 1)
  }

  /// A pipe in a file's place is an error, and nobody waits for it.
  @Test(arguments: ["metrics.csv", "manifest.json", "labels.csv", "events.jsonl", "config.yaml"])
  func pipesAreNotWaitedFor(_ name: String) throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    try? FileManager.default.removeItem(at: run.url.appendingPathComponent(name))
    #expect(mkfifo(scratch.path("run/\(name)"), 0o600) == 0)
    let text = message {
      _ = try run.manifest()
      _ = try run.log(MetricRecord.self)
      _ = try run.labels()
      _ = try run.events()
      _ = try run.config()
    }
    #expect(text.contains(name) && text.contains("not a regular file"), "\(text)")
  }

  @Test func aPipeInALogsPlaceIsNotWrittenTo() throws {
    let scratch = try Scratch()
    #expect(mkfifo(scratch.path("log.csv"), 0o600) == 0)
    #expect(throws: RunStoreError.self) { _ = try AppendOnlyFile(scratch.url.appendingPathComponent("log.csv")) }
  }

  @Test func aFolderInAFilesPlaceIsNamed() throws {
    let scratch = try Scratch()
    let text = message { _ = try readFile(scratch.url) }
    #expect(text.contains("is a folder, not a file") && !text.contains("NSCocoa"), "\(text)")
    #expect(message { _ = try RunDirectory.open(at: "") }.contains("empty name"))
    #expect(message { _ = try RunDirectory.create(at: "", existing: .refuse) }.contains("empty name"))
  }

  /// No cell is a formula of a spreadsheet, and every name reads back as it was.
  @Test func namesAreNoFormulas() throws {
    let scratch = try Scratch()
    let run = try scratch.newRun()
    let names = [
      "=1+1", "+a/b.png", "-x", "@sum", "\tx", "'=1+1", "''", "'tis", "plain", "a,b", "=\"x\",1", "-0.5", "", "é=",
    ]
    let records = names.enumerated().map { LabelRecord(index: $0, original: 0, assigned: 0, file: $1) }
    try run.write(labels: records)
    #expect(try run.labels().map { $0.file ?? "" } == names)
    let cells = try text(run.url.appendingPathComponent("labels.csv")).split(separator: "\n").dropFirst().map {
      $0.split(separator: ",", maxSplits: 4, omittingEmptySubsequences: false)[4]
    }
    for cell in cells {
      let first = cell.drop { $0 == "\"" }.first
      #expect(!["=", "+", "@", "\t"].contains(first) && (first != "-" || Double(cell) != nil), "\(cell)")
    }
    #expect(csvCell("=1+1") == "'=1+1" && csvCell("a") == "a" && csvCell("-1") == "-1")
  }
}
