// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import TestSupport
import Testing

@testable import coherent

@Suite struct TrainTests {
  /// On the built-in digits, as someone without any data would.
  @Test func aRunOnBuiltInDigits() throws {
    let scratch = try Scratch()
    let result = try Program.run([
      "train", "--dataset", "digits", "--subset", "100", "--model", "mlp:8", "--batch-size", "10", "--steps", "20",
      "--noise", "0.5", "--validation", "10", "--threads", "1", "--out", scratch.path("run"),
    ])
    #expect(result.code == 0, "\(result.errors)")
    for row in ["last", "best test", "selected by validation", "20 steps in", "Run: \(scratch.path("run"))"] {
      #expect(result.output.contains(row))
    }
    // Off a terminal: a line for each evaluation, no control characters.
    #expect(result.errors.contains("pristine") && !result.errors.contains("\u{1B}"))
    let columns = [
      "metrics.csv": "epoch,step,split,group,count,loss,acc1,acc5",
      "coherence.csv": "step,split,layer,m,alpha,m_coherence,alpha_unbiased,share,bn_policy",
      "labels.csv": "index,original,assigned,is_corrupt", "classes.csv": "class,name",
      "examples.csv":
        "index,label,is_corrupt,first_learned,last_learned,forgetting_events,final_loss,final_correct",
    ]
    for (name, header) in columns {
      #expect(try scratch.text("run/" + name).split(separator: "\n").first.map(String.init) == header)
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: scratch.path("run"))
    #expect(names.contains { $0.hasPrefix("events.out.tfevents.") })
    for name in ["config.yaml", "manifest.json", "events.jsonl", "checkpoints"] { #expect(names.contains(name)) }
    #expect(!names.contains { $0.hasPrefix(".") })
    #expect(try scratch.text("run/examples.csv").split(separator: "\n").count == 91)
    #expect(try scratch.text("run/labels.csv").split(separator: "\n").count == 101)
  }

  @Test func jsonHoldsRunAndManifest() throws {
    let scratch = try Scratch()
    let result = try train(SmallData.options + ["--out", scratch.path("run"), "--json"])
    let answer = try object(result.output)
    #expect(answer["run"] as? String == scratch.path("run"))
    let manifest = try #require(answer["manifest"] as? [String: Any])
    #expect(manifest["status"] as? String == "completed")
    #expect(manifest["batch_size"] as? Int == 10)
    #expect((manifest["noise"] as? [String: Any])?["realised_rate"] is Double)
    #expect(((manifest["summary"] as? [String: Any])?["last"] as? [String: Any])?["test_accuracy"] is Double)
    #expect(result.errors.isEmpty)
  }

  @Test func aPlanTrainsNothing() throws {
    let scratch = try Scratch()
    let words = SmallData.options + ["--optimizer", "m3"]
    let text = try train(words + ["--plan"]).output
    for part in ["training and", "steps of 10 examples", "Memory: about", "a rank sends", "Computed:"] {
      #expect(text.contains(part), "\(part) in \(text)")
    }
    let plan = try object(train(words + ["--plan", "--json"]).output)
    #expect(plan["batch_size"] as? Int == 10 && (plan["seconds_per_step"] as? Double ?? 0) > 0)
    let ranks = try #require(plan["ranks"] as? [[String: Any]])
    #expect(ranks.map { $0["ranks"] as? Int } == [1, 2, 4, 8])
    #expect(ranks[0]["bytes_sent"] as? Int == 0 && ranks[3]["examples"] as? Int == 2)
    let refused = try Program.run(["train"] + words + ["--plan", "--out", scratch.path("run")])
    #expect(refused.code != 0 && refused.errors.contains("leave out --out"))
    #expect(!FileManager.default.fileExists(atPath: scratch.path("run")))
  }

  @Test func theSavedConfigurationMakesTheSameRun() throws {
    let scratch = try Scratch()
    let odd = ["--lr", "0.12345678901234567", "--momentum", "0.3333333333333333", "--validation", "7"]
    try train(SmallData.options + odd + ["--out", scratch.path("one")])
    try train(["--config", scratch.path("one/config.yaml"), "--out", scratch.path("two")])
    try expectSameEnd(scratch.path("one"), scratch.path("two"))
  }

  @Test func optionsWinOverTheFile() throws {
    let scratch = try Scratch()
    let file = try scratch.write("lr: 0.5\nsteps: 12\nmomentum: 0.5\nnesterov: true\nnoise: 0.25\n", "run.yaml")
    let data = ["--dataset", "mnist", "--data-dir", SmallData.folder, "--model", "mlp:4", "--threads", "1"]
    try train(["--config", file] + data + ["--lr", "0.25", "--no-nesterov", "--out", scratch.path("a")])
    let a = try scratch.text("a/config.yaml")
    for line in ["lr: 0.25", "steps: 12", "momentum: 0.5", "nesterov: false", "noise: 0.25", "model: mlp:4"] {
      #expect(a.contains(line + "\n"), "\(line) in \(a)")
    }
    // --epochs takes the place of the file's steps.
    try train(["--config", file] + data + ["--epochs", "2", "--out", scratch.path("b")])
    #expect(try scratch.text("b/config.yaml").contains("steps: 4\n"))
  }

  @Test func relativePathsAreFoundOnResume() throws {
    let scratch = try Scratch()
    try FileManager.default.copyItem(atPath: SmallData.folder, toPath: scratch.path("data"))
    let result = try Program.run(
      ["train", "-q", "--no-report"] + SmallData.options + ["--data-dir", "data", "--out", "run"], in: scratch.url.path)
    #expect(result.code == 0, "\(result.errors)")
    try train(["--resume", scratch.path("run")])
  }

  @Test func resumingACompleteRun() throws {
    let scratch = try Scratch()
    try train(SmallData.options + ["--out", scratch.path("run")])
    let events = try scratch.text("run/events.jsonl")
    let again = try train(["--resume", scratch.path("run")])
    #expect(again.errors.contains("already complete"))
    #expect(try scratch.text("run/events.jsonl") == events)
  }

  @Test func forceReplacesARun() throws {
    let scratch = try Scratch()
    let out = ["--out", scratch.path("run")]
    try train(SmallData.options + out)
    let before = try lastingFiles(scratch.path("run"))
    let refused = try Program.run(["train"] + SmallData.options + out)
    #expect(refused.code == 1)
    #expect(refused.errors.contains("--resume") && refused.errors.contains("--force"))
    #expect(try lastingFiles(scratch.path("run")) == before)
    try train(SmallData.options + ["--seed", "9", "--force"] + out)
    #expect(try lastingFiles(scratch.path("run")) != before)
  }

  @Test func labelsFromAFile() throws {
    let scratch = try Scratch()
    let labels = (0..<200).map { $0 % 7 }
    let file = try scratch.write(labels.map { "\($0)\n" }.joined(), "labels.csv")
    try train(SmallData.options + ["--noise", "0", "--labels", file, "--out", scratch.path("run")])
    let records = try RunDirectory.open(at: scratch.path("run")).labels()
    #expect(records.map(\.assigned) == labels)
    #expect(records.contains(where: \.isCorrupt) && records.contains { !$0.isCorrupt })
  }

  /// Somebody's own pictures, in a folder for each class and nothing else.
  @Test func aFolderOfPicturesAlone() throws {
    let scratch = try Scratch()
    try PictureFixtures.load().writeFolder(at: scratch.path("pictures"))
    let options = [
      "--dataset", "folder", "--data-dir", scratch.path("pictures/train"), "--image-size", "12", "--model", "mlp:4",
      "--batch-size", "5", "--steps", "3", "--threads", "1", "--freeze", "fc1.weight", "--warmup", "2",
    ]
    let result = try train(options + ["--test-fraction", "0.34", "--out", scratch.path("run")])
    #expect(result.errors.contains("34 % of every class, 4 of 12 pictures"), "\(result.errors)")
    #expect(try scratch.text("run/classes.csv") == "class,name\n0,cat\n1,dog\n")
    #expect(try scratch.text("run/examples.csv").contains(",file\n0,0,0,"))
    let measured = try Program.run([
      "measure", "--checkpoint", scratch.path("run"), "--split", "test", "--records", scratch.path("records.csv"),
    ])
    #expect(measured.code == 0, "\(measured.errors)")
    let lines = try scratch.text("records.csv").split(separator: "\n")
    #expect(lines.count == 5 && lines[0].hasSuffix(",correct,file") && lines[1].contains(",cat/"))
    let typo = try Program.run(["train"] + options + ["--freeze", "fc3", "--out", scratch.path("none")])
    #expect(typo.code == 1 && typo.errors.contains("did you mean \"fc1\"?"), "\(typo.errors)")
    let one = try Program.run(
      ["train"] + options + [
        "--data-dir", scratch.path("pictures"), "--test-fraction", "0.5", "--out", scratch.path("x"),
      ]
    )
    #expect(one.code == 1 && one.errors.contains("test-fraction 0.5 is for folders without val and test"))
  }

  @Test func divergenceIsAFailureWithARemedy() throws {
    let scratch = try Scratch()
    let result = try Program.run(
      ["train", "-q", "--no-report"] + SmallData.options + ["--lr", "1e30", "--out", scratch.path("run")])
    #expect(result.code == 1)
    #expect(result.errors.contains("diverged at step") && result.errors.contains("--lr"))
    #expect(try RunDirectory.open(at: scratch.path("run")).manifest().status == .diverged)
  }

  /// Progress that nobody can read (the disk behind a redirection is full) does not end a training.
  @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "there is no /dev/full"))
  func wordsThatCannotBeWritten() throws {
    let scratch = try Scratch()
    let result = try Program.run(
      ["train", "--no-report"] + SmallData.options + ["--out", scratch.path("run")], errors: "/dev/full")
    #expect(result.code == 0 && !result.signalled)
    #expect(try RunDirectory.open(at: scratch.path("run")).manifest().status == .completed)
  }
}

@Suite struct ConsoleTests {
  @Test func durations() {
    #expect(Console.duration(0.4) == "0 s")
    #expect(Console.duration(61) == "1 min 01 s")
    #expect(Console.duration(3720) == "1 h 02 min")
    for odd in [Double.nan, .infinity, 1e300] { #expect(Console.duration(odd) == "?") }
  }

  @Test func tables() {
    #expect(Console.table([["a", "b"], ["ccc", "10"]]) == "a      b\nccc   10")
    #expect(Console.table([]) == "")
    #expect(Console.table([["a"], ["b", "c"]]) == "a\nb   c")
    #expect(Console.percent(nil) == "–")
    #expect(Console.percent(0.9731) == "97.3 %")
    #expect(Console.bytes(3 << 20) == "3 MB")
  }

  @Test func whetherAnOptionIsGiven() throws {
    #expect(try !TrainingOptions.parse([]).isMoreThanLengthSet)
    #expect(try TrainingOptions.parse(["--steps", "7"]).length == .steps(7))
    #expect(try TrainingOptions.parse(["--epochs", "1.5"]).length == .epochs(1.5))
    #expect(try !TrainingOptions.parse(["--steps", "7"]).isMoreThanLengthSet)
    for arguments in [
      ["--dataset", "mnist"], ["--data-dir", "d"], ["--subset", "1"], ["--labels", "l"], ["--validation", "0"],
      ["--noise", "0"], ["--noise-kind", "permute"], ["--model", "mlp:2048"], ["--initializer", "xavier-scaled"],
      ["--norm", "batch"], ["--weights", "w"], ["--weights-head", "require"],
      ["--optimizer", "sgd"], ["--lr", "0.1"], ["--momentum", "0"], ["--nesterov"], ["--no-nesterov"],
      ["--weight-decay", "0"], ["--schedule", "constant"], ["--batch-size", "100"], ["--eval-schedule", "auto"],
      ["--keep", "last"], ["--select", "best"], ["--steps", "1", "--lr", "1"], ["--seed", "1"], ["--threads", "1"],
      ["--eval-every", "1"], ["--checkpoint-every", "1"],
      ["--device", "cpu"], ["--linear", "auto"], ["--split", "s"], ["--stop-accuracy", "1"], ["--tag", "a=b"],
      ["--allow-missing"], ["--no-skip-bad"], ["--noisy-test-probes"], ["--normalize", "auto"], ["--image-size", "8"],
      ["--resize", "9"], ["--augment", "none"], ["--workers", "1"], ["--prefetch", "0"], ["--test-subset", "1"],
      ["--allow-momentum"], ["--probe", "economy"],
      ["--test-fraction", "0.2"], ["--warmup", "0"], ["--freeze", "fc1"],
    ] {
      #expect(try TrainingOptions.parse(arguments).isMoreThanLengthSet, "\(arguments)")
    }
  }
}
