// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

/// Every mistake that can be made on the command line: one clear sentence on standard error, an exit code, nothing lost.
@Suite struct BadInputTests {
  /// Arguments of `train`, the exit code, and what the message has to say.
  static let mistakes: [(arguments: [String], code: Int32, parts: [String])] = [
    (["--lr", "-1"], 1, ["lr must be a number above 0, not -1"]),
    (["--lr", "nan"], 1, ["lr must be a number above 0"]),
    (["--lr", "fast"], 64, ["fast", "--lr"]),
    (["--momentum", "-0.5"], 1, ["momentum must be at least 0 and below 1, not -0.5"]),
    (["--momentum", "1"], 1, ["momentum"]),
    (["--nesterov"], 1, ["nesterov needs a momentum above 0"]),
    (["--weight-decay", "-1"], 1, ["weight-decay must be at least 0"]),
    (["--noise", "1.5"], 1, ["noise must be from 0 to 1, not 1.5"]),
    (["--noise", "-0.1"], 1, ["noise must be from 0 to 1, not -0.1"]),
    (["--noise-kind", "shuffle"], 64, ["shuffle", "permute", "uniform", "asymmetric", "instance"]),
    (["--batch-size", "0"], 1, ["batch-size must be at least 1, not 0"]),
    (["--batch-size", "-3"], 1, ["batch-size must be at least 1, not -3"]),
    (["--batch-size", "201"], 1, ["batch-size 201 is larger than the 200 training examples"]),
    (["--batch-size", "9223372036854775807"], 1, ["batch-size"]),
    (["--batch-size", "99999999999999999999"], 64, ["99999999999999999999"]),
    (["--steps", "0"], 1, ["steps must be from 1"]), (["--steps", "-5"], 1, ["steps must be from 1", "-5"]),
    (["--epochs", "0"], 1, ["epochs must be above 0"]), (["--epochs", "-1"], 1, ["epochs must be above 0"]),
    (["--epochs", "1", "--steps", "2"], 1, ["steps or epochs, not both"]),
    (["--seed", "-1"], 64, ["-1", "--seed"]),
    (["--threads", "0"], 1, ["threads must be from 1"]), (["--threads", "-1"], 1, ["threads must be from 1"]),
    (["--subset", "0"], 1, ["subset must be at least 1"]), (["--subset", "201"], 1, ["201", "between 1 and 200"]),
    (["--validation", "-1"], 1, ["validation must be at least 0"]),
    (["--validation", "200"], 1, ["200 examples cannot be held out of 200"]),
    (["--eval-every", "0"], 1, ["eval-every must be at least 1"]),
    (["--checkpoint-every", "-1"], 1, ["checkpoint-every must be at least 1"]),
    (["--dataset", "mnits"], 1, ["\"mnits\"", "digits, mnist, fashion-mnist"]),
    (["--model", "resnet"], 1, ["\"resnet\"", "mlp:WIDTH", "linear"]),
    (["--model", "vgg11"], 1, ["vgg11 needs images of at least 32×32", "mnist has 28×28"]),
    (["--model", "vgg11", "--norm", "group:8"], 1, ["vgg11_bn"]), (["--norm", "layer"], 1, ["\"layer\"", "group:N"]),
    (["--model", "resnet20", "--norm", "group:5"], 1, ["16 channels of layer1.0.bn1"]),
    (["--weights", "/nowhere/w.safetensors"], 1, ["no weights file /nowhere/w.safetensors"]),
    (["--weights", ""], 1, ["empty name"]), (["--weights-head", "replace"], 1, ["give weights too"]),
    (["--weights-head", "keep"], 64, ["keep", "replace"]),
    (["--model", "mlp:1048576,1048576,1048576"], 1, ["TB of memory", "--ignore-memory-estimate"]),
    (["--model", "mlp:0"], 1, ["mlp:0", "widths from 1"]), (["--model", "mlp:x"], 1, ["\"x\"", "mlp:2"]),
    (["--optimizer", "adagrad"], 1, ["\"adagrad\"", "sgd"]),
    (["--initializer", "he"], 64, ["he", "kaiming"]),
    (["--schedule", "warm"], 1, ["\"warm\"", "constant, cosine or step:"]),
    (["--device", "gpu"], 1, ["device must be cpu or cuda"]),
    (["--device", "cuda:99"], 1, ["no CUDA device 99", "--device cpu"]),
    (["--linear", "mkl"], 1, ["auto, native or onednn"]),
    (["--data-dir", "/nowhere/at/all"], 1, ["/nowhere/at/all"]),
    (["--labels", "/nowhere/labels.npy", "--noise", "0"], 1, ["/nowhere/labels.npy"]),
    (["--labels", "/nowhere/labels.npy"], 1, ["labels or noise, not both"]),
    (["--config", "/nowhere/run.yaml"], 1, ["no configuration file /nowhere/run.yaml"]),
    (["--learning-rate", "1"], 64, ["--learning-rate"]),
    (["extra"], 64, ["extra"]),
  ]

  @Test(arguments: mistakes.indices)
  func mistakesInTrain(_ index: Int) async throws {
    let (arguments, code, parts) = Self.mistakes[index]
    let scratch = try Scratch()
    let out = scratch.path("run")
    let result = await Program.runHere(["train"] + SmallData.options.overridden(by: arguments) + ["--out", out])
    expect(result, code, parts, arguments)
    #expect(!FileManager.default.fileExists(atPath: out), "\(arguments) left a folder behind")
  }

  /// Some of them as a process of its own: the sentence goes to standard error, the code to the shell.
  @Test(arguments: [0, 2, 11, 12])
  func mistakesInAProcess(_ index: Int) throws {
    let (arguments, code, parts) = Self.mistakes[index]
    let scratch = try Scratch()
    let options = SmallData.options.overridden(by: arguments) + ["--out", scratch.path("run")]
    expect(try Program.run(["train"] + options), code, parts, arguments)
  }

  private func expect(_ result: Program.Result, _ code: Int32, _ parts: [String], _ arguments: [String]) {
    #expect(result.code == code && !result.signalled, "\(arguments): \(result.code) \(result.errors)")
    #expect(result.output.isEmpty, "\(arguments): \(result.output)")
    #expect(result.errors.hasPrefix("Error: "), "\(arguments): \(result.errors)")
    for part in parts { #expect(result.errors.contains(part), "\(arguments): \(result.errors)") }
    // One sentence, or two: no dump of a Swift value, no stack trace.
    if code == 1 { #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)") }
    for sign in ["Error(", "Optional(", "Domain=", "0x"] { #expect(!result.errors.contains(sign), "\(result.errors)") }
  }

  @Test func whereARunMayGo() async throws {
    let scratch = try Scratch()
    let file = try scratch.write("mine", "file")
    for (out, parts) in [
      (file + "/run", ["is a file, not a folder", "--out"]), (file, ["is a file", "--out"]),
      ("/proc/run", ["/proc/run"]), (scratch.url.path, ["already holds files", "--out"]),
    ] {
      expect(await Program.runHere(["train"] + SmallData.options + ["--out", out]), 1, parts, [out])
    }
    expect(
      await Program.runHere(["train", "--force"] + SmallData.options + ["--out", scratch.url.path]), 1,
      ["does not look like a run"], [])
    #expect(try scratch.text("file") == "mine")
  }

  @Test func contradictions() async throws {
    let scratch = try Scratch()
    let run = scratch.path("run")
    for (arguments, part) in [
      ([], "--out RUN"), (["--out", run, "--resume", run], "either"), (["--out", ""], "empty name"),
      (["--resume", ""], "empty name"), (["--resume", run, "--lr", "0.1"], "leave out all training options"),
      (["--resume", run, "--no-nesterov"], "leave out all training options"),
      (["--resume", run, "--probe", "measures@log"], "leave out all training options"),
      (["--resume", run, "--force"], "leave out"),
      (["--resume", run, "--config", "x"], "leave out"),
    ] {
      expect(await Program.runHere(["train"] + arguments), 64, [part], arguments)
    }
    expect(await Program.runHere(["train", "--resume", run]), 1, ["There is no folder \(run)"], [])
    expect(await Program.runHere(["train", "--resume", scratch.url.path]), 1, ["not a run directory"], [])
    expect(await Program.runHere(["frobnicate"]), 64, ["frobnicate"], [])
  }

  @Test(arguments: [
    ("batch-sizes: 5\n", ["line 1", "batch-sizes", "did you mean \"batch-size\"?"]),
    ("lr: 0.1\nsteps: many\n", ["line 2", "steps must be a whole number, not \"many\""]),
    ("- a\n- b\n", ["option: value"]), ("lr: [", ["not valid YAML"]), ("noise: 7\n", ["noise must be from 0 to 1"]),
  ])
  func badConfigurationFiles(_ text: String, _ parts: [String]) throws {
    let scratch = try Scratch()
    let file = try scratch.write(text, "run.yaml")
    let result = try Program.run(["train", "--config", file, "--out", scratch.path("run")])
    #expect(result.code == 1)
    for part in parts { #expect(result.errors.contains(part), "\(result.errors)") }
    if !text.hasPrefix("noise") { #expect(result.errors.contains(file)) }
  }

  /// Damage to each of the data files: the message names the file.
  @Test(arguments: [
    "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
  ])
  func damagedData(_ name: String) async throws {
    let scratch = try Scratch()
    let data = scratch.path("data")
    for damage in ["missing", "truncated", "magic", "flipped", "other"] {
      try? FileManager.default.removeItem(atPath: data)
      try FileManager.default.copyItem(atPath: SmallData.folder, toPath: data)
      let url = URL(fileURLWithPath: data + "/" + name)
      var bytes = try Data(contentsOf: url)
      switch damage {
      case "missing": try FileManager.default.removeItem(at: url)
      case "truncated": try bytes.prefix(bytes.count / 2).write(to: url)
      case "magic": try Data("nothing of the kind".utf8).write(to: url)
      case "flipped":
        bytes[bytes.count / 2] ^= 0x10
        try bytes.write(to: url)
      default:
        // The labels in place of the images, and the other way round.
        let swapped =
          name.contains("images")
          ? name.replacingOccurrences(of: "images-idx3", with: "labels-idx1")
          : name.replacingOccurrences(of: "labels-idx1", with: "images-idx3")
        try Data(contentsOf: URL(fileURLWithPath: SmallData.folder + "/" + swapped)).write(to: url)
      }
      let stem = String(name.prefix { $0 != "." })
      expect(
        await Program.runHere(["train"] + SmallData.options + ["--data-dir", data, "--out", scratch.path("run")]), 1,
        [damage == "missing" ? stem : name], [name, damage])
    }
  }

  /// A damaged checkpoint, met on the command line: the sentence says which file, and what can be done about the only one
  /// of a complete run.
  @Test func damagedCheckpoint() throws {
    let scratch = try Scratch()
    let run = scratch.path("run")
    try train(SmallData.options + ["--out", run])
    let weights = run + "/checkpoints/step-000000030.safetensors"
    let whole = try Data(contentsOf: URL(fileURLWithPath: weights))
    var bytes = whole
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: weights))
    let before = try lastingFiles(run)
    expect(
      try Program.run(["train", "--resume", run]), 1,
      [weights, "is damaged", "there is no earlier one", "restore it from a copy"], [])
    // Without it there is nothing to continue from, and nothing is replaced.
    try FileManager.default.moveItem(atPath: run + "/checkpoints", toPath: run + "/moved")
    expect(
      try Program.run(["train", "--resume", run]), 1, ["holds no checkpoint", "nothing was changed", "--config"], [])
    try FileManager.default.moveItem(atPath: run + "/moved", toPath: run + "/checkpoints")
    #expect(try lastingFiles(run) == before)
    try whole.write(to: URL(fileURLWithPath: weights))
    try train(["--resume", run])
  }

  @Test func otherCommands() async throws {
    let scratch = try Scratch()
    for (arguments, code, part) in [
      (["data", "info", "mnits"], 1, "Known data sets"), (["data", "info", "mnist"], 1, "--data-dir"),
      (["data", "info", "mnist", "--data-dir", scratch.path("none")], 1, "none"),
      (["data", "export", "digits", "--subset", "-1", "--out", scratch.path("x")], 1, "-1"),
      (["data", "export", "digits", "--subset", "60001", "--out", scratch.path("x")], 1, "60000"),
      (["data", "fetch", "imagenet", "--data-dir", scratch.path("x")], 1, "Known data sets"),
      (["data", "fetch", "mnist", "--data-dir", scratch.path("x"), "--mirror", "nonsense"], 1, "http://"),
      (["data", "fetch", "mnist"], 64, "--data-dir"), (["data", "info"], 64, "name"),
      (["report"], 64, "runs"), (["report", scratch.path("none")], 1, "There is no folder"),
      (["report", scratch.url.path], 1, "not a run directory"),
    ] as [([String], Int32, String)] {
      expect(await Program.runHere(arguments), code, [part], arguments)
    }
  }
}

extension [String] {
  /// Options with some of them given another value, or added.
  func overridden(by given: [String]) -> [String] {
    var options = self
    // Steps make way for epochs, unless both are asked for.
    if given.contains("--epochs"), !given.contains("--steps"), let at = options.firstIndex(of: "--steps") {
      options.removeSubrange(at...(at + 1))
    }
    for (place, name) in given.enumerated() where name.hasPrefix("--") && place + 1 < given.count {
      if let at = options.firstIndex(of: name) { options.removeSubrange(at...(at + 1)) }
    }
    return options + given
  }
}
