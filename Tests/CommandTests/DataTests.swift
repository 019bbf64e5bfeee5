// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import TestSupport
import Testing

@Suite struct DataTests {
  @Test func list() throws {
    let table = try Program.run(["data", "list"])
    #expect(table.code == 0)
    for name in ["digits", "mnist", "fashion-mnist", "built in"] { #expect(table.output.contains(name)) }
    let entries = try objects(try Program.run(["data", "list", "--json"]).output)
    #expect(
      entries.map { $0["name"] as? String } == ["digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "folder"])
    #expect(entries[1]["example_shape"] as? [Int] == [1, 28, 28])
    #expect((entries[1]["files"] as? [[String: Any]])?.first?["sha256"] is String)
  }

  @Test func info() throws {
    let words = try Program.run(["data", "info", "mnist", "--data-dir", SmallData.folder])
    #expect(words.code == 0, "\(words.errors)")
    for part in [
      "mnist train: 200 examples of 1×28×28", "mnist test: 100 examples", "train-images-idx3-ubyte.gz: different",
    ] {
      #expect(words.output.contains(part), "\(words.output)")
    }
    let summaries = try objects(
      try Program.run(["data", "info", "mnist", "--data-dir", SmallData.folder, "--json"]).output)
    #expect(summaries.map { $0["count"] as? Int } == [200, 100])
    #expect((summaries[0]["class_counts"] as? [Int])?.reduce(0, +) == 200)
  }

  @Test func picturesOfOnesOwn() throws {
    let scratch = try Scratch()
    let fixtures = try PictureFixtures.load()
    try fixtures.writeFolder(at: scratch.path("pictures"))
    let arguments = ["data", "info", "folder", "--data-dir", scratch.path("pictures"), "--image-size", "16"]
    let info = try Program.run(arguments)
    #expect(info.code == 0, "\(info.errors)")
    #expect(info.output.contains("folder train: 12 examples of 3×16×16"), "\(info.output)")
    #expect(info.output.contains("classes: cat 6, dog 6"))
    try PictureFixtures.write(fixtures.data("gif"), scratch.path("pictures/train/dog/not.jpg"))
    let refused = try Program.run(arguments)
    #expect(refused.code == 1 && refused.errors.contains("train/dog/not.jpg cannot be used: it is a GIF"))
    #expect(refused.errors.contains("--skip-bad (skip-bad: true in a file, --set skip-bad=true for a study)"))
    // What it says about a study can be done.
    let study = [
      "study", "run", "cg/label-noise", "--profile", "smoke", "--plan", "--data-dir", scratch.path("pictures"), "--set",
      "dataset=folder", "--set", "image-size=8", "--set", "subset=12", "--set", "test-subset=4", "--set",
      "batch-size=6", "--set", "probe=[coherence:m=10@log]", "--set", "skip-bad=true",
    ]
    let plan = try Program.run(study)
    #expect(plan.code == 0 && plan.output.contains("noise-50"), "\(plan.errors)")
    let skipped = try Program.run(arguments + ["--skip-bad"])
    #expect(skipped.code == 0 && skipped.output.contains("left out: train/dog/not.jpg: it is a GIF"))
    let fetch = try Program.run(["data", "fetch", "folder", "--data-dir", scratch.path("x")])
    #expect(fetch.code == 1 && fetch.errors.contains("nothing to download"))
    let run = scratch.path("run")
    let options = ["--dataset", "folder", "--data-dir", scratch.path("pictures"), "--image-size", "8", "--noise", "0"]
    let more = ["--augment", "flip+crop", "--workers", "3", "--batch-size", "4", "--steps", "4", "--out", run]
    let training = try train(SmallData.options + options + more + ["--checkpoint-every", "2", "--skip-bad"])
    #expect(training.errors.contains("Warning: 1 of the 13 train images cannot be used and is left out"))
    #expect(
      try scratch.text("run/skipped.csv") == "path,reason\ntrain/dog/not.jpg,\"it is a GIF, neither JPEG nor PNG\"\n")
    let manifest = try object(try scratch.text("run/manifest.json"))
    #expect((manifest["dataset"] as? [String: Any])?["skipped_examples"] as? Int == 1)
    let measured = try Program.run(["measure", "--checkpoint", run, "--json"])
    #expect(measured.code == 0, "\(measured.errors)")
    #expect(try object(measured.output)["m"] as? Int == 12)
  }

  @Test func missingBatches() throws {
    let scratch = try Scratch()
    for batch in ["data_batch_2", "test_batch"] {
      let record: [UInt8] = [3] + (0..<3072).map { UInt8($0 % 251) }
      try scratch.write(Data((0..<20).flatMap { _ in record }), "cifar10/\(batch).bin")
    }
    let arguments = [
      "--dataset", "cifar10", "--data-dir", scratch.path("."), "--noise", "0", "--steps", "4", "--out",
      scratch.path("run"),
    ]
    let refused = try Program.run(["train", "--quiet"] + SmallData.options + arguments)
    #expect(refused.code == 1, "\(refused.errors)")
    for part in ["data_batch_1.bin, data_batch_3.bin", "are missing, data_batch_2.bin is there", "--allow-missing"] {
      #expect(refused.errors.contains(part), "\(refused.errors)")
    }
    let few = try Program.run(
      ["train", "--quiet"] + SmallData.options + arguments + ["--allow-missing", "--subset", "21"])
    #expect(few.code == 1 && few.errors.contains("data_batch_1.bin, data_batch_3.bin"), "\(few.errors)")
    #expect(few.errors.contains("coherent data fetch cifar10"), "\(few.errors)")
    let run = try train(SmallData.options + arguments + ["--allow-missing"])
    #expect(run.errors.contains("Warning: cifar10 (train) is incomplete"))
    #expect(try scratch.text("run/config.yaml").contains("allow-missing: true"))
    let manifest = try object(try scratch.text("run/manifest.json"))
    let files = (manifest["dataset"] as? [String: Any])?["files"] as? [String: Any]
    #expect(files?.keys.sorted() == ["data_batch_2.bin", "test_batch.bin"])
  }

  @Test func export() throws {
    let scratch = try Scratch()
    let arguments = ["data", "export", "digits", "--subset", "50", "--out", scratch.path("digits")]
    let result = try Program.run(arguments + ["--json"])
    #expect(result.code == 0, "\(result.errors)")
    let paths = try #require(JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String])
    #expect(paths.count == 4 && paths.allSatisfy { FileManager.default.fileExists(atPath: $0) })
    let read = try DatasetLoader.load(name: "mnist", split: .train, directory: scratch.path("digits"))
    let drawn = try DatasetLoader.load(name: "digits", split: .train, count: 50)
    #expect(try read.contentChecksum() == drawn.contentChecksum())
    let again = try Program.run(arguments)
    #expect(again.code == 1 && again.errors.contains("already exists"))
  }

  @Test func fetchOfBuiltInDataHasNothingToDo() throws {
    let scratch = try Scratch()
    let result = try Program.run(["data", "fetch", "digits", "--data-dir", scratch.path("x")])
    #expect(result.code == 0 && result.output.contains("nothing to download"))
  }
}

@Suite(.enabled(if: WebServer.python != nil, "python3 is not on the path")) struct FetchTests {
  @Test func wrongChecksumIsClear() throws {
    let scratch = try Scratch()
    // As long as the real file, so that only its checksum can tell.
    try scratch.write(Data(count: 9_912_422), "web/train-images-idx3-ubyte.gz")
    let server = try WebServer(scratch.path("web"))
    let result = try Program.run([
      "data", "fetch", "mnist", "--data-dir", scratch.path("data"), "--mirror", server.address,
    ])
    #expect(result.code == 1)
    for part in ["train-images-idx3-ubyte.gz", "checksum mismatch", "440fcabf73cc546f", server.address] {
      #expect(result.errors.contains(part), "\(result.errors)")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path("data")).isEmpty)
  }

  @Test func missingFileIsClear() throws {
    let scratch = try Scratch()
    try scratch.write("", "web/readme")
    let server = try WebServer(scratch.path("web"))
    let result = try Program.run([
      "data", "fetch", "mnist", "--data-dir", scratch.path("data"), "--mirror", server.address,
    ])
    #expect(result.code == 1)
    #expect(result.errors.contains("was not found (HTTP 404)"))
  }

  @Test func aFileOfOnesOwnIsNotReplaced() throws {
    let scratch = try Scratch()
    try scratch.write("mine", "data/train-images-idx3-ubyte.gz")
    let result = try Program.run([
      "data", "fetch", "mnist", "--data-dir", scratch.path("data"), "--mirror", "http://127.0.0.1:9",
    ])
    #expect(result.code == 1 && result.errors.contains("--force"))
    #expect(try scratch.text("data/train-images-idx3-ubyte.gz") == "mine")
  }

  @Test(.enabled(if: realData != nil, "COHERENT_TEST_DATA does not name a folder with mnist/"))
  func theRealFiles() throws {
    let scratch = try Scratch()
    let server = try WebServer(try #require(realData) + "/mnist")
    let arguments = ["data", "fetch", "mnist", "--data-dir", scratch.path("data"), "--mirror", server.address]
    let result = try Program.run(arguments + ["--json"])
    #expect(result.code == 0, "\(result.errors)")
    #expect((try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String])?.count == 4)
    #expect(try Program.run(arguments).errors.contains("already there"))
    let doctor = try Program.run(["doctor", "--json", "--data-dir", scratch.path("data")])
    #expect(doctor.output.contains("verified") && !doctor.output.contains("fashion-mnist"), "\(doctor.output)")
  }
}

let realData: String? = {
  guard let root = ProcessInfo.processInfo.environment["COHERENT_TEST_DATA"] else { return nil }
  return FileManager.default.fileExists(atPath: root + "/mnist") ? root : nil
}()

/// Python's own web server, on 127.0.0.1 alone and a port that the system chooses.
final class WebServer {
  private let process = Process()
  private let input = Pipe()
  let address: String

  static let python: String? = {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return path.split(separator: ":").map { $0 + "/python3" }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }()

  init(_ folder: String) throws {
    let program = """
      import functools, http.server, os, sys, threading
      threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
      handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
      server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
      print(server.server_address[1], flush=True)
      server.serve_forever()
      """
    process.executableURL = URL(fileURLWithPath: try #require(Self.python))
    process.arguments = ["-c", program, folder]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    // The server ends when this pipe closes, however the tests end.
    process.standardInput = input
    try process.run()
    let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    address = "http://127.0.0.1:\(try #require(Int(line.trimmingCharacters(in: .whitespacesAndNewlines))))"
  }

  deinit { kill(process.processIdentifier, SIGKILL) }
}
