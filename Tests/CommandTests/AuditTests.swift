// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

/// `audit` from the command line.
@Suite struct AuditTests {
  private let noisy = ["--noise", "0.3", "--noise-kind", "uniform"]

  /// A training of a moment.
  private let small =
    ["--dataset", "mnist", "--data-dir", SmallData.folder, "--model", "mlp:32", "--threads", "1"]
    + ["--optimizer", "sgd", "--batch-size", "10"]

  private func options(_ scratch: Scratch, _ more: [String] = []) -> [String] {
    ["audit"] + small + more + ["--out", scratch.path("audit"), "--quiet"]
  }

  @Test func findsJudgesAndTrainsAgain() throws {
    let scratch = try Scratch()
    let result = try Program.run(options(scratch, noisy + ["--epochs", "12", "--folds", "2", "--retrain", "--json"]))
    try #require(result.code == 0, "\(result.errors)")
    let audit = try AuditDirectory.open(at: scratch.path("audit"))
    let record = try audit.record()
    let suspects = try audit.suspects(of: record)
    #expect(suspects.count == record.count && suspects.map(\.rank) == Array(1...record.count))
    #expect(suspects.count { $0.isFlagged } == record.flagged && record.run == "run")
    #expect(zip(suspects, suspects.dropFirst()).allSatisfy { $0.suspicion >= $1.suspicion })
    #expect(record.scores.map(\.name).contains("out_of_sample") && record.scores.count == 15)
    let thumbnails = try #require(try audit.thumbnails(of: record))
    #expect(thumbnails.indices.prefix(3).elementsEqual(suspects.prefix(3).map(\.index)))
    let (sheet, neighbours) = (try audit.picture(thumbnails.sheets - 1), try audit.neighbours(of: record))
    #expect(sheet != nil && neighbours != nil)
    #expect(FileManager.default.fileExists(atPath: audit.page.path))

    let printed = try object(result.output)
    let judgements = try #require(printed["judgements"] as? [[String: Any]])
    let headline = try #require(judgements.first?["auroc"] as? [String: Any])
    #expect(judgements.count == 16 && headline["value"] as? Double ?? 0 > 0.8)
    let again = try #require(printed["retrained"] as? [String: Any])
    #expect((again["dropped"] as? Int ?? -1) + (again["relabelled"] as? Int ?? -1) == record.flagged)
    #expect(again["is_by_hand"] as? Bool == false && again["test_accuracy"] as? Double != nil)

    // What is there is kept; a run that was watched is audited as it is.
    let refused = try Program.run(options(scratch, noisy))
    #expect(refused.code == 64 && refused.errors.contains("holds an audit already"))
    let other = try Program.run(["audit", "--run", scratch.path("audit/run"), "--out", scratch.path("other")])
    #expect(other.code == 0 && other.output.contains("labels are probably wrong"), "\(other.errors)")
    let copy = try AuditDirectory.open(at: scratch.path("other"))
    #expect(try copy.suspects(of: copy.record()).map(\.index) == suspects.map(\.index))
  }

  @Test func arraysAreThoseOfTheDataSet() throws {
    let scratch = try Scratch()
    let result = try Program.run(options(scratch, noisy + ["--epochs", "3"]))
    try #require(result.code == 0, "\(result.errors)")
    func array(_ name: String) throws -> (header: String, bytes: Data) {
      let data = try Data(contentsOf: URL(fileURLWithPath: scratch.path("audit/" + name)))
      let start = 10 + Int(data[8]) + Int(data[9]) << 8
      return (String(decoding: data[10..<start], as: UTF8.self), Data(data[start...]))
    }
    let labels = try RunDirectory.open(at: scratch.path("audit/run")).labels().map(\.assigned)
    let given = try array("labels.npy")
    #expect(given.header.contains("'<i8'") && given.header.contains("(\(labels.count),)"))
    let values = given.bytes.withUnsafeBytes { bytes in
      (0..<bytes.count / 8).map { Int(bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self)) }
    }
    #expect(values == labels)
    let probabilities = try array("pred_probs.npy")
    #expect(probabilities.header.contains("(\(labels.count), 10)") && probabilities.bytes.count == 40 * labels.count)
  }

  /// Class folders without val: every picture is looked at, and has its thumbnail and its name.
  @Test func everyPictureOfAFolderIsLookedAt() throws {
    let scratch = try Scratch()
    try PictureFixtures.load().writeFolder(at: scratch.path("all"))
    let folder = scratch.path("all/train")
    let result = try Program.run([
      "audit", "--dataset", "folder", "--data-dir", folder, "--model", "mlp:8", "--image-size", "16", "--epochs", "2",
      "--out", scratch.path("audit"), "--quiet",
    ])
    try #require(result.code == 0, "\(result.errors)")
    let audit = try AuditDirectory.open(at: scratch.path("audit"))
    let record = try audit.record()
    let suspects = try audit.suspects(of: record)
    let files = suspects.compactMap(\.file)
    #expect(
      files.count == 12 && Set(files).isSuperset(of: ["cat/Z", "cat/b picture.JPG", "dog/é,\"6.png"]), "\(files)")
    #expect(try audit.thumbnails(of: record)?.indices.count == 12 && record.classes == ["cat", "dog"])
    #expect(result.errors.contains("no picture is held out"))
  }

  /// A Python with the package, of the tests' own environment.
  private static let python: String? = Program.root.map { $0.appendingPathComponent(".deps/test-venv/bin/python").path }
    .flatMap { path in
      let packages = (path as NSString).deletingLastPathComponent + "/../lib"
      let folders = (try? FileManager.default.contentsOfDirectory(atPath: packages)) ?? []
      let isThere = folders.contains {
        FileManager.default.fileExists(atPath: "\(packages)/\($0)/site-packages/cleanlab")
      }
      return isThere ? path : nil
    }

  @Test(.enabled(if: Self.python != nil, "needs a Python with cleanlab; make setup for tests installs it"))
  func cleanlabReadsTheArrays() throws {
    let scratch = try Scratch()
    try #require(try Program.run(options(scratch, noisy + ["--epochs", "12"])).code == 0)
    let script = """
      import json, sys
      import numpy as np
      from cleanlab.filter import find_label_issues
      labels, probabilities = np.load(sys.argv[1] + "/labels.npy"), np.load(sys.argv[1] + "/pred_probs.npy")
      issues = find_label_issues(labels, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
      print(json.dumps([int(index) for index in issues]))
      """
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(Self.python))
    process.arguments = ["-c", script, scratch.path("audit")]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let issues = try JSONDecoder().decode([Int].self, from: output)
    let labels = try RunDirectory.open(at: scratch.path("audit/run")).labels()
    let wrong = issues.count { labels[$0].original != labels[$0].assigned }
    #expect(
      process.terminationStatus == 0 && !issues.isEmpty && 2 * wrong > issues.count, "\(wrong) of \(issues.count)")
  }

  @Test func decisionsGoIntoTheNextTraining() throws {
    let scratch = try Scratch()
    try #require(try Program.run(options(scratch, noisy + ["--epochs", "2"])).code == 0)
    let audit = try AuditDirectory.open(at: scratch.path("audit"))
    let first = try audit.suspects(of: audit.record())[0]
    let name = try audit.record().classes[first.given]
    try scratch.write(
      "index,file,given,decision,label,time\n\(first.index),,\(name),drop,,\n", "audit/corrections.csv")
    let again = try Program.run(
      ["audit", "--run", scratch.path("audit/run"), "--out", scratch.path("audit"), "--force", "--retrain", "--json"])
    try #require(again.code == 0, "\(again.errors)")
    let printed = try object(again.output)
    let retrained = try #require(printed["retrained"] as? [String: Any])
    #expect(retrained["is_by_hand"] as? Bool == true && retrained["dropped"] as? Int == 1)
    #expect(FileManager.default.fileExists(atPath: audit.corrections.path), "decisions stay")
  }

  @Test func aStoppedAuditGoesOnWithTheSameOptionsOnly() throws {
    let scratch = try Scratch()
    try #require(try Program.run(options(scratch, noisy + ["--epochs", "1"])).code == 0)
    let audit = try AuditDirectory.open(at: scratch.path("audit"))
    let suspects = try Data(contentsOf: audit.url.appendingPathComponent("suspects.csv"))
    // What a stop between training and tables leaves.
    for name in ["audit.json", "suspects.csv"] {
      try FileManager.default.removeItem(at: audit.url.appendingPathComponent(name))
    }
    let other = try Program.run(options(scratch, noisy + ["--epochs", "1", "--lr", "0.3", "--seed", "2"]))
    #expect(other.code == 64 && other.errors.contains("other options (lr, seed)"), "\(other.errors)")
    #expect(other.errors.contains("--force"), "\(other.errors)")
    #expect(try Program.run(options(scratch, noisy + ["--epochs", "1"])).code == 0)
    #expect(try Data(contentsOf: audit.url.appendingPathComponent("suspects.csv")) == suspects)
  }

  @Test func examplesThatNoMiniBatchHeldComeLast() throws {
    let scratch = try Scratch()
    // Sixty examples, of which an epoch leaves four out.
    let result = try Program.run(
      options(scratch, ["--batch-size", "28", "--drop-last", "--epochs", "1", "--subset", "60"]))
    try #require(result.code == 0, "\(result.errors)")
    let audit = try AuditDirectory.open(at: scratch.path("audit"))
    let suspects = try audit.suspects(of: audit.record())
    #expect(suspects.count == 60 && suspects.suffix(4).allSatisfy { $0.scores.allSatisfy { $0 == nil } })
    #expect(suspects.prefix(56).allSatisfy { $0.scores.contains { $0 != nil } })
  }

  @Test func mistakesSayWhatToDo() throws {
    let scratch = try Scratch()
    let run = scratch.path("run")
    try train(SmallData.options + ["--steps", "3", "--out", run])
    func check(_ arguments: [String], _ code: Int32, _ words: String...) throws {
      let result = try Program.run(["audit"] + arguments)
      #expect(result.code == code, "\(arguments)")
      for word in words { #expect(result.errors.contains(word), "\(result.errors)") }
    }
    let out = ["--out", scratch.path("a")]
    try check(["--run", run] + out, 1, "recorded no training dynamics", "--probe dynamics")
    try check(["--run", scratch.path("nowhere")] + out, 1, "There is no folder")
    try check(["--run", run, "--noise", "0.1"] + out, 64, "leave out all training options")
    try check(small + ["--folds", "1"] + out, 64, "--folds must be at least 2")
    try check(small, 64, "--out")
    let short = try scratch.write("1\n2\n", "short.csv")
    try check(small + ["--epochs", "1", "--quiet", "--truth", short] + out, 1, "holds 2 labels")
    #expect(!FileManager.default.fileExists(atPath: scratch.path("a")), "before anything is trained")
    try #require(try Program.run(["audit"] + small + ["--epochs", "1", "--quiet"] + out).code == 0)
    let odd = try scratch.write("label\nhorse\n", "odd.csv")
    try check(["--run", scratch.path("a/run"), "--truth", odd, "--force"] + out, 1, "horse")
  }
}
