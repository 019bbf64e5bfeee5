// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import Studies
import TestSupport
import Testing

/// Studies from the command line to the page, with the program as it is built.
@Suite struct StudyGridTests {
  private func smoke(_ id: String, _ out: String, _ more: [String] = []) -> [String] {
    ["study", "run", id, "--profile", "smoke", "--out", out, "--jobs", "2", "--quiet"] + more
  }

  private func card(_ out: String) throws -> [String: Any] {
    try object(String(contentsOfFile: out + "/scorecard.json", encoding: .utf8))
  }

  /// What a grid leaves that may not depend on how often it was stopped.
  private func results(_ out: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in ["scorecard.json", "scorecard.txt"] {
      files[name] = try Data(contentsOf: URL(fileURLWithPath: out + "/" + name))
    }
    for run in try FileManager.default.contentsOfDirectory(atPath: out + "/runs") {
      for name in ["metrics.csv", "coherence.csv", "measures.csv", "examples.csv", "labels.csv"] {
        let url = URL(fileURLWithPath: "\(out)/runs/\(run)/\(name)")
        if FileManager.default.fileExists(atPath: url.path) { files["\(run)/\(name)"] = try Data(contentsOf: url) }
      }
    }
    return files
  }

  @Test(arguments: StudyCatalog.all.map(\.id)) func everyStudyInSmall(_ id: String) throws {
    let scratch = try Scratch()
    let out = scratch.path("study")
    let result = try Program.run(smoke(id, out))
    #expect(result.code == 0, "\(result.errors)")
    let study = try StudyCatalog.study(id)
    let results = try StudyResults(StudyFolder(out))
    #expect(results.isComplete, "\(results.cells.filter { $0.status != "completed" })")
    #expect(Set(results.verdicts.map(\.claim.id)) == Set(study.claims))
    #expect(result.output.contains(study.id) && result.output.contains("Report: \(out)/report.html"))
    for cell in results.cells {
      #expect(FileManager.default.fileExists(atPath: out + "/" + cell.results))
    }
    // A verdict names what it rests on, and that is there. A few hundred digits decide nothing; exact values do.
    for verdict in results.verdicts {
      for run in verdict.runs { #expect(FileManager.default.fileExists(atPath: out + "/" + run + "/metrics.csv")) }
      let isExact = verdict.runs.isEmpty && !verdict.measurements.isEmpty
      #expect(verdict.outcome == .inconclusive || isExact, "\(verdict.claim.id)")
    }
    let page = try String(contentsOfFile: out + "/report.html", encoding: .utf8)
    // The title names the data that the runs saw, not the paper's.
    let subject = study.title.components(separatedBy: " on ")[0]
    let drawn = id == "beyond/grokking" ? "sums modulo 11<" : "built-in digits<"
    let data = results.cells.contains { $0.results.hasPrefix("runs/") } ? drawn : "<"
    let heading = page.components(separatedBy: "<h1>").dropFirst().first?.prefix { $0 != "\n" } ?? ""
    #expect(heading.hasPrefix(subject) && heading.contains(data), "\(heading)")
    #expect(study.claims.allSatisfy(page.contains))
    #expect(try !FileManager.default.contentsOfDirectory(atPath: out + "/figures").isEmpty)
    // Nothing is left to do, and the score card stays as it is.
    let before = try self.results(out)
    let again = try Program.run(smoke(id, out))
    #expect(again.code == 0, "\(again.errors)")
    #expect(try self.results(out) == before)
  }

  /// Ranks on a folder of all take what is free, and what one that is killed had begun, the others go on with.
  @Test func ranksShareTheCells() throws {
    let scratch = try Scratch()
    let (alone, shared) = (scratch.path("alone"), scratch.path("shared"))
    let result = try Program.run(smoke("cg/winsorized", alone))
    #expect(result.code == 0, "\(result.errors)")
    let port = try freePort()
    let ranks = try (0..<3).map { rank in
      try Running(
        smoke("cg/winsorized", shared),
        environment: ["RANK": "\(rank)", "WORLD_SIZE": "3", "MASTER_PORT": "\(port)"])
    }
    try ranks[0].until { written(shared) > 0 }
    ranks[2].send(SIGKILL)
    let ends = try ranks.map { try $0.wait() }
    #expect(ends[0].code == 0 && ends[1].code == 0, "\(ends.map(\.errors))")
    #expect(ends[0].output.contains("Report: \(shared)/report.html") && ends[1].output == "")
    #expect(try results(alone) == results(shared))
  }

  /// Bytes of all runs' metrics so far: how far a grid is.
  private func written(_ out: String) -> Int {
    let runs = (try? FileManager.default.contentsOfDirectory(atPath: out + "/runs")) ?? []
    return runs.reduce(0) { sum, run in
      let facts = try? FileManager.default.attributesOfItem(atPath: "\(out)/runs/\(run)/metrics.csv")
      return sum + ((facts?[.size] as? Int) ?? 0)
    }
  }

  /// Kills of the grid without warning, at moments that a seed draws: its cells stop by themselves, and the same command
  /// waits for them and goes on to the same files.
  @Test func killsAtRandomMoments() throws {
    let scratch = try Scratch()
    let (whole, out) = (scratch.path("whole"), scratch.path("study"))
    let more = ["--set", "checkpoint-every=20"]
    #expect(try Program.run(smoke("gm/adversarial-init", whole, more)).code == 0)
    let total = Double(written(whole))
    var random = SeededGenerator(seed: 7)
    var kills = 0
    for share in [0.0, 0.2, 0.4, 0.6, 0.8] {
      let moment = Int(total * random.uniform(share, share + 0.15))
      let running = try Running(smoke("gm/adversarial-init", out, more))
      while running.isRunning, written(out) <= moment { usleep(2000) }
      running.send(SIGKILL)
      let result = try running.wait()
      if result.signalled { kills += 1 } else { #expect(result.code == 0, "\(result.errors)") }
    }
    #expect(kills >= 3)
    let last = try Program.run(smoke("gm/adversarial-init", out, more))
    #expect(last.code == 0, "\(last.errors)")
    #expect(try results(out) == results(whole))
  }

  /// Data of another name are looked for in the folder given.
  @Test func anotherDatasetIsReadFromTheFolder() throws {
    let scratch = try Scratch()
    let more = ["--data-dir", SmallData.folder, "--set", "dataset=mnist"]
    let sizes = ["--set", "subset=150", "--set", "test-subset=100", "--seeds", "1", "--plan"]
    let plan = try Program.run(smoke("ws/robust-means", scratch.path("study"), more + sizes))
    #expect(plan.code == 0 && plan.output.contains("rm3"), "\(plan.errors)")
    let missing = try Program.run(
      smoke("ws/robust-means", scratch.path("study"), ["--set", "dataset=mnist"] + sizes))
    #expect(missing.code == 1 && missing.errors.contains("Give one with --data-dir"), "\(missing.errors)")
  }

  @Test func aCellThatFailsDoesNotStopTheOthers() throws {
    let scratch = try Scratch()
    let (out, more) = (scratch.path("study"), ["--seeds", "1"])
    let first = try Program.run(smoke("cg/label-noise", out, more))
    #expect(first.code == 0, "\(first.errors)")
    let run = out + "/runs/noise-50"
    try FileManager.default.removeItem(atPath: run)
    // What stands where a run should go.
    try Data("in the way".utf8).write(to: URL(fileURLWithPath: run))
    try FileManager.default.removeItem(atPath: out + "/runs/noise-100")
    let second = try Program.run(smoke("cg/label-noise", out, more))
    #expect(second.code == 1)
    #expect(second.errors.contains("Some cells failed"))
    let results = try StudyResults(StudyFolder(out))
    let cells = Dictionary(results.cells.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    #expect(cells["noise-50"]?.status == "failed" && cells["noise-50"]?.problem?.contains("is a file") == true)
    #expect(cells["noise-100"]?.status == "completed" && cells["noise-0"]?.status == "completed")
    let open = results.verdicts.filter { $0.outcome == .inconclusive }
    #expect(!open.isEmpty && open.allSatisfy { $0.missing.contains { $0.contains("cell noise-50") } })
    try FileManager.default.removeItem(atPath: run)
    #expect(try Program.run(smoke("cg/label-noise", out, more)).code == 0)
    #expect(try StudyResults(StudyFolder(out)).isComplete)
  }

  /// A disk that fills up in the middle fails the cells that no longer fit, by name; with room the same command goes on.
  @Test(.enabled(if: SmallDisk.isAvailable, "a small disk can only be mounted by root")) func aFullDisk() throws {
    let scratch = try Scratch()
    let disk = try SmallDisk(bytes: 16 << 20)
    let (whole, out) = (scratch.path("whole"), disk.path + "/study")
    #expect(try Program.run(smoke("gm/adversarial-init", whole)).code == 0)
    try disk.fill(leaving: 300 << 10)
    let full = try Program.run(smoke("gm/adversarial-init", out))
    #expect(full.code == 1)
    #expect(full.errors.contains("The disk is full"), "\(full.errors)")
    let cells = try StudyResults(StudyFolder(out)).cells
    #expect(cells.contains { $0.problem?.contains("The disk is full") == true })
    try disk.makeRoom()
    let again = try Program.run(smoke("gm/adversarial-init", out))
    #expect(again.code == 0, "\(again.errors)")
    #expect(try results(out) == results(whole))
  }

  /// The same before anything is there.
  @Test(.enabled(if: SmallDisk.isAvailable, "a small disk can only be mounted by root")) func aDiskWithoutRoom() throws
  {
    let disk = try SmallDisk(bytes: 1 << 20)
    try disk.fill(leaving: 8 << 10)
    let full = try Program.run(smoke("gm/coherence", disk.path + "/study"))
    #expect(full.code != 0 && full.errors.contains("The disk is full"), "\(full.code) \(full.errors)")
  }

  @Test func aRunThatDivergesIsAResult() throws {
    let scratch = try Scratch()
    let out = scratch.path("study")
    let result = try Program.run(smoke("gm/coherence", out, ["--set", "lr=1e30"]))
    #expect(result.code == 0, "\(result.errors)")
    let results = try StudyResults(StudyFolder(out))
    #expect(results.cells.allSatisfy { $0.status == "diverged" && $0.problem != nil })
    #expect(results.verdicts.allSatisfy { $0.outcome == .inconclusive && !$0.missing.isEmpty })
  }

  @Test func ctrlCStopsWithCheckpoints() throws {
    let scratch = try Scratch()
    let out = scratch.path("study")
    let running = try Running(smoke("gm/coherence", out, ["--set", "epochs=4000"]))
    try running.until {
      ["noise-0", "noise-100"].allSatisfy { FileManager.default.fileExists(atPath: "\(out)/runs/\($0)/metrics.csv") }
    }
    running.send(SIGINT)
    let result = try running.wait()
    #expect(result.code == 130 && !result.signalled)
    #expect(result.errors.contains("Repeat the same command to continue"))
    for run in ["noise-0", "noise-100"] {
      #expect(try RunDirectory.open(at: "\(out)/runs/\(run)").manifest().status == .interrupted)
    }
  }

  @Test func whatIsWrongIsSaid() async throws {
    let scratch = try Scratch()
    let cases: [([String], Int32, [String])] = [
      (["study", "run", "cg/label-nose", "--out", scratch.path("a")], 1, ["no study", "cg/label-noise"]),
      (["study", "run", "cg/label-noise", "--profile", "huge"], 64, ["huge", "smoke"]),
      (
        ["study", "run", "cg/label-noise", "--profile", "small", "--out", scratch.path("b")], 1,
        ["mnist", "--data-dir", "coherent data fetch mnist"]
      ),
      (
        ["study", "run", "ws/easy-hard", "--data-dir", scratch.path("none"), "--out", scratch.path("c")], 1,
        ["data_batch_1.bin", "coherent data fetch cifar10"]
      ),
      (
        ["study", "run", "ws/cost", "--data-dir", scratch.path("none"), "--out", scratch.path("e")], 1,
        ["data_batch_1.bin", "coherent data fetch cifar10"]
      ),
      (
        [
          "study", "run", "cg/label-noise", "--profile", "smoke", "--set", "model=mlp:900000,900000", "--out",
          scratch.path("f"),
        ], 1, ["Cell noise-0 cannot run", "memory"]
      ),
      (
        ["study", "run", "cg/label-noise", "--profile", "smoke", "--set", "noise=1", "--out", scratch.path("d")], 1,
        ["--set noise"]
      ),
      (["study", "run", "cg/label-noise", "--set", "lr"], 64, ["OPTION=VALUE"]),
      (["study", "run", "cg/label-noise", "--seeds", "1,1"], 64, ["--seeds"]),
      (
        ["study", "run", "cg/label-noise", "--profile", "smoke", "--only", "none,", "--out", scratch.path("g")], 64,
        ["No cell's name contains \"none,\"", "--plan"]
      ),
      (["study", "run", "cg/label-noise", "--jobs", "0"], 64, ["--jobs"]),
      (["study", "report", scratch.path("none")], 1, ["There is no folder"]),
      (["study", "card", scratch.url.path], 1, ["no study.yaml"]),
      (["study", "info", "cg"], 1, ["no study"]),
    ]
    for (arguments, code, words) in cases {
      let result = await Program.runHere(arguments)
      #expect(result.code == code, "\(arguments): \(result.errors)")
      for word in words { #expect(result.errors.contains(word), "\(arguments): \(result.errors)") }
    }
  }

  /// The first steps of a study at the size of ImageNet, on a small tree of pictures: its configurations are sound there,
  /// its cost is estimated, and its verdicts say what is missing.
  @Test func theFirstStepsAtThePapersSize() throws {
    let scratch = try Scratch()
    let (tree, out) = (scratch.path("pictures"), scratch.path("study"))
    try PictureFixtures.load().writeFolder(at: tree)
    let changes = ["batch-size=6", "image-size=32", "model=resnet18"].flatMap { ["--set", $0] }
    let options = ["--profile", "paper", "--data-dir", tree, "--steps", "2", "--seeds", "1", "--jobs", "2"] + changes
    let plan = try Program.run(["study", "run", "gm/m3", "--plan"] + options)
    #expect(plan.code == 0 && plan.output.contains("2 training runs, about"), "\(plan.errors)")
    let result = try Program.run(["study", "run", "gm/m3", "--out", out, "--quiet"] + options)
    #expect(result.code == 0, "\(result.errors)")
    let results = try StudyResults(StudyFolder(out))
    #expect(results.isComplete && results.profile.hasPrefix("paper, 2 steps at most"))
    #expect(results.verdicts.allSatisfy { $0.outcome == .inconclusive })
  }

  /// A tree that is smaller than a mini-batch of the paper is refused before anything runs.
  @Test func tooFewPicturesForThePapersSize() throws {
    let scratch = try Scratch()
    try PictureFixtures.load().writeFolder(at: scratch.path("pictures"))
    let options = ["--profile", "paper", "--data-dir", scratch.path("pictures"), "--out", scratch.path("study")]
    let refused = try Program.run(["study", "run", "mc/evolution", "--quiet"] + options)
    #expect(refused.code == 1 && refused.errors.contains("batch-size 4096 is larger"), "\(refused.errors)")
  }

  /// Some cells by their names, with those that they need; the rest by the same command without the words.
  @Test func someCellsOfAGrid() throws {
    let scratch = try Scratch()
    let (out, more) = (scratch.path("study"), ["--seeds", "1", "--quiet"])
    #expect(try Program.run(smoke("ws/easy-hard", out, more + ["--only", "hard"])).code == 0)
    let some = try StudyResults(StudyFolder(out))
    let done = Set(some.cells.filter { $0.status == "completed" }.map(\.name))
    #expect(!some.isComplete && done.contains { $0.contains("hard") } && done.count < some.cells.count)
    #expect(done.contains { !$0.contains("hard") }, "what they need: \(done)")
    #expect(try Program.run(smoke("ws/easy-hard", out, more)).code == 0)
    #expect(try StudyResults(StudyFolder(out)).isComplete)
  }

  /// What a study sorted its examples into belongs to its results: the commands of an export need it.
  @Test func anExportHoldsItsSplits() throws {
    let scratch = try Scratch()
    let (out, kept) = (scratch.path("study"), scratch.path("kept"))
    #expect(try Program.run(smoke("ws/easy-hard", out, ["--seeds", "1"])).code == 0)
    let export = try Program.run(["study", "report", out, "--export", kept])
    #expect(export.code == 0, "\(export.errors)")
    let splits = try StudyResults(StudyFolder(out)).cells.map(\.name).compactMap { name -> (String, String)? in
      let text = try String(contentsOfFile: "\(kept)/configs/\(name).yaml", encoding: .utf8)
      let line = text.split(separator: "\n").first { $0.hasPrefix("split: prepared/") }
      return line.map { (name, String($0.dropFirst("split: ".count))) }
    }
    #expect(!splits.isEmpty)
    for (_, split) in splits {
      let (here, there) = ("\(kept)/\(split)", "\(out)/\(split)")
      #expect(try Data(contentsOf: .init(filePath: here)) == Data(contentsOf: .init(filePath: there)))
    }
    let (cell, _) = try #require(splits.first)
    let again = try Program.run(["train", "--config", "configs/\(cell).yaml", "--out", cell, "--quiet"], in: kept)
    #expect(again.code == 0, "\(again.errors)")
    let metrics = ["\(kept)/\(cell)", "\(out)/runs/\(cell)"].map { URL(filePath: $0 + "/metrics.csv") }
    #expect(try Data(contentsOf: metrics[0]) == Data(contentsOf: metrics[1]))
  }

  @Test func listInfoPlanAndCard() throws {
    let list = try Program.run(["study", "list"])
    #expect(StudyCatalog.all.allSatisfy { list.output.contains($0.id) && list.output.contains($0.title) })
    let entries = try objects(Program.run(["study", "list", "--json"]).output)
    #expect(entries.count == StudyCatalog.all.count && entries.allSatisfy { $0["profiles"] != nil })
    let info = try Program.run(["study", "info", "ws/easy-hard", "--profile", "smoke"])
    #expect(info.output.contains("after sort") && info.output.contains("WS-11"))
    let plan = try Program.run(["study", "run", "cg/winsorized", "--profile", "smoke", "--plan"])
    #expect(plan.code == 0 && plan.output.contains("noise-50-c2") && plan.output.contains("training runs, about"))
    let scratch = try Scratch()
    let out = scratch.path("exact")
    #expect(try Program.run(smoke("gm/linear-example", out)).code == 0)
    let kept = scratch.path("kept")
    for _ in 0..<2 { #expect(try Program.run(["study", "report", out, "--export", kept, "--json"]).code == 0) }
    let machine = try String(contentsOfFile: kept + "/machine.md", encoding: .utf8)
    for part in ["Processor", "Wall time of computations", "[data](figures/", "coherent study run gm/linear-example"] {
      #expect(machine.contains(part), "\(machine)")
    }
    for name in ["study.yaml", "machine.md", "scorecard.json", "scorecard.txt", "measured/linear-example.csv"] {
      let text = try String(contentsOfFile: kept + "/" + name, encoding: .utf8)
      #expect(!text.isEmpty && !text.contains(scratch.url.path), "\(name)")
    }
    #expect(!FileManager.default.fileExists(atPath: kept + "/runs.csv"), "It has no training runs.")
    let request = try String(contentsOfFile: out + "/study.yaml", encoding: .utf8)
    let over = try Program.run(["study", "report", out, "--export", out])
    #expect(over.code == 1 && over.errors.contains("folder of a study"), "\(over.errors)")
    #expect(try String(contentsOfFile: out + "/study.yaml", encoding: .utf8) == request)
    // What was kept says the same, and stays as it is.
    let (fromKept, fromRuns) = (try Program.run(["study", "card", kept]), try Program.run(["study", "card", out]))
    #expect(fromKept.code == 0 && fromKept.output == fromRuns.output)
    for command in [["study", "report", kept], smoke("gm/linear-example", kept)] {
      let refused = try Program.run(command)
      #expect(refused.code == 1 && refused.errors.contains("without its runs"), "\(refused.errors)")
    }
    let card = try Program.run(["study", "card", out])
    #expect(card.code == 0)
    #expect(
      card.output.contains("held (gm/linear-example, smoke)")
        && card.output.contains("not tested: It takes coherent study run"))
    for claim in ScoreCard.claims { #expect(card.output.contains(claim.id)) }
  }
}
