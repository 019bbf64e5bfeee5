// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Tensors
import Testing
import TestSupport

/// `evaluate` and `predict` from the command line.
@Suite struct EvaluateTests {
  /// A folder of photographs by class.
  private static let photographs: String? = ProcessInfo.processInfo.environment["COHERENT_TEST_DATA"]
    .map { $0 + "/ants-bees" }.flatMap { FileManager.default.fileExists(atPath: $0) ? $0 : nil }

  private func trained(_ options: [String] = [], in scratch: Scratch) throws -> String {
    let run = scratch.path("run")
    try train(SmallData.options + options + ["--out", run])
    return run
  }

  /// float32 values of an .npy file.
  private func values(_ path: String) throws -> [Float] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    let start = 10 + Int(data[8]) + Int(data[9]) << 8
    return data[start...].withUnsafeBytes { bytes in
      (0..<bytes.count / 4).map { Float(bitPattern: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)) }
    }
  }

  @Test func theLastEvaluationIsFoundAgain() throws {
    let scratch = try Scratch()
    let run = try trained(["--noise", "0.5"], in: scratch)
    let logged = try RunDirectory.open(at: run).log(MetricRecord.self)
    for split in ["train", "test"] {
      let result = try Program.run([
        "evaluate", run, "--split", split, "--json", "--logits", scratch.path("\(split).npy"), "--probabilities",
        scratch.path("\(split)-p.npy"),
      ])
      #expect(result.code == 0, "\(result.errors)")
      let report = try #require(object(result.output)["report"] as? [String: Any])
      func check(_ group: [String: Any], _ name: String) throws {
        let last = try #require(logged.last { $0.split == split && $0.group == name })
        #expect(group["count"] as? Int == last.count && group["accuracy"] as? Double == last.accuracy1, "\(name)")
        #expect(abs((group["loss"] as? Double ?? 0) - last.loss) < 1e-5 * (1 + last.loss), "\(name)")
      }
      let all = try #require(report["all"] as? [String: Any])
      try check(all, "all")
      let groups = try #require(report["groups"] as? [[String: Any]])
      #expect(groups.count == (split == "train" ? 2 : 0))
      for group in groups { try check(group, group["name"] as? String ?? "") }
      let count = try #require(all["count"] as? Int)
      let (logits, probabilities) = (
        try values(scratch.path("\(split).npy")), try values(scratch.path("\(split)-p.npy"))
      )
      #expect(logits.count == 10 * count && probabilities.count == 10 * count)
      #expect((0..<count).allSatisfy { row in abs(probabilities[10 * row..<10 * row + 10].reduce(0, +) - 1) < 1e-5 })
    }
    let text = try Program.run(["evaluate", run])
    #expect(
      text.code == 0 && text.output.contains("Expected calibration error") && text.output.contains("last weights"))
  }

  /// What Tests/Fixtures/make_evaluate_fixture.py found.
  private struct Fixture: Decodable {
    let gain: Double
    /// Names and shapes.
    let entries: [Entry]
    let files: [String]
    let logits: [Double]

    struct Entry: Decodable {
      let name: String
      let shape: [Int]
      init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        (name, shape) = (try list.decode(String.self), try list.decode([Int].self))
      }
    }
  }

  @Test(
    .enabled(if: photographs != nil, "needs the photographs of COHERENT_TEST_DATA"),
    arguments: ["resnet18", "efficientnet_b0"])
  func logitsAreTorchvisions(_ name: String) throws {
    let scratch = try Scratch()
    let url = try #require(Bundle.module.url(forResource: "evaluate", withExtension: "json", subdirectory: "Fixtures"))
    let fixture = try #require(JSONDecoder().decode([String: Fixture].self, from: Data(contentsOf: url))[name])
    let weights = try fixture.entries.map { entry in
      (name: entry.name, tensor: try HashedNumbers.content(entry.name, entry.shape, gain: fixture.gain))
    }
    try Safetensors.encode(weights).write(to: URL(fileURLWithPath: scratch.path("weights.safetensors")))
    let result = try Program.run([
      "evaluate", "--model", name, "--weights", scratch.path("weights.safetensors"), "--dataset", "folder",
      "--data-dir", #require(Self.photographs), "--split", "test", "--logits", scratch.path("logits.npy"), "--json",
    ])
    try #require(result.code == 0, "\(result.errors)")
    let logits = try values(scratch.path("logits.npy"))
    try #require(logits.count == fixture.logits.count)
    let largest = try #require(fixture.logits.map(abs).max())
    let difference = zip(logits, fixture.logits).map { abs(Double($0) - $1) }.max() ?? .infinity
    #expect(difference <= 1e-4 * largest, "\(difference) of \(largest)")
  }

  @Test func picturesGetTheirClasses() throws {
    let scratch = try Scratch()
    let folder = scratch.path("data")
    try PictureFixtures.load().writeFolder(at: folder)
    let run = scratch.path("run")
    try train([
      "--dataset", "folder", "--data-dir", folder, "--image-size", "16", "--model", "mlp:8", "--batch-size", "6",
      "--steps", "30", "--out", run,
    ])
    try scratch.write("\(folder)/val/cat/1.jpg\n\n\(folder)/val/dog/1.png\n", "list.txt")
    let result = try Program.run([
      "predict", run, folder + "/val", scratch.path("list.txt"), "--probabilities", scratch.path("p.npy"),
    ])
    #expect(result.code == 0, "\(result.errors)")
    let rows = result.output.split(separator: "\n").map { $0.split(separator: ",").map(String.init) }
    #expect(rows[0] == ["file", "label", "probability", "runner_up", "runner_up_probability"] && rows.count == 7)
    #expect(rows[1][0] == folder + "/val/cat/1.jpg" && rows[5][0] == rows[1][0] && rows[5][1...] == rows[1][1...])
    for row in rows.dropFirst() {
      #expect(Set([row[1], row[3]]) == ["cat", "dog"])
      #expect(abs((Double(row[2]) ?? 0) + (Double(row[4]) ?? 0) - 1) < 1e-5)
    }
    #expect(try values(scratch.path("p.npy")).count == 12 && result.errors.contains("pictures/s"))
    // The same pictures through evaluate have the same classes.
    let evaluated = try Program.run(["evaluate", run, "--json", "--probabilities", scratch.path("q.npy")])
    #expect(evaluated.code == 0, "\(evaluated.errors)")
    #expect(try values(scratch.path("q.npy")) == Array(values(scratch.path("p.npy")).prefix(8)))
  }

  /// Examples held out for validation are a group of their own; the others are those of the run's own evaluation.
  @Test func validationExamplesAreToldApart() throws {
    let scratch = try Scratch()
    let run = try trained(["--validation", "50"], in: scratch)
    let logged = try RunDirectory.open(at: run).log(MetricRecord.self)
    let result = try Program.run(["evaluate", run, "--split", "train", "--json"])
    let report = try #require(object(result.output)["report"] as? [String: Any])
    let groups = try #require(report["groups"] as? [[String: Any]]).suffix(2)
    #expect(groups.map { $0["name"] as? String } == ["trained on", "validation"])
    for (group, split) in zip(groups, ["train", "validation"]) {
      let last = try #require(logged.last { $0.split == split && $0.group == "all" })
      #expect(group["count"] as? Int == last.count && group["accuracy"] as? Double == last.accuracy1, "\(split)")
    }
  }

  static let mistakes: [(arguments: [String], code: Int32, part: String)] = [
    (["evaluate"], 64, "Name a run, or a model"), (["evaluate", "/nowhere/run"], 1, "/nowhere/run"),
    (["evaluate", "/nowhere/run", "--logits", "x.csv"], 64, "does not end in .npy"),
    (["evaluate", "/nowhere/run", "--logits", "/nowhere/x.npy"], 1, "/nowhere/x.npy"),
    (["evaluate", "run", "--model", "resnet18"], 64, "belong together"),
    (
      ["evaluate", "--model", "resnet18", "--weights", "/nowhere/w.safetensors", "--data-dir", "/nowhere"], 1,
      "/nowhere"
    ),
    (["evaluate", "run", "--select", "best", "--step", "3"], 64, "not both"),
    (["predict", "run"], 64, "Name a run and pictures"),
    (["predict", "run", "x.png", "--classes", "n.txt"], 64, "--classes"),
    (["predict", "--model", "resnet18", "--weights", "/nowhere/w.safetensors", "x.png"], 1, "/nowhere/w.safetensors"),
    (["predict", "/nowhere/run", "x.png"], 1, "/nowhere/run"),
  ]

  @Test(arguments: mistakes.indices)
  func mistakesAreExplained(_ index: Int) async {
    let (arguments, code, part) = Self.mistakes[index]
    let result = await Program.runHere(arguments)
    #expect(result.code == code && result.errors.contains(part), "\(arguments): \(result.code) \(result.errors)")
  }

  @Test func picturesThatAreNone() throws {
    let scratch = try Scratch()
    let run = try trained(in: scratch)
    let norm = try Program.run(["evaluate", run, "--norm", "group:8"])
    #expect(norm.code == 64 && norm.errors.contains("--norm is for --model"), "\(norm.errors)")
    let grey = try Program.run(["predict", run, scratch.path("x.png")])
    #expect(grey.code == 1 && grey.errors.contains("no colour pictures"), "\(grey.errors)")
  }
}
