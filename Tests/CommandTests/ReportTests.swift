// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

private let dependencies = Program.root.map { $0.appendingPathComponent(".deps").path } ?? ""
private func isInstalled(_ name: String) -> Bool { FileManager.default.fileExists(atPath: dependencies + "/" + name) }

@Suite(.enabled(if: isInstalled("vega/vega-bundle.js"), "the report bundle is not in .deps: make setup"))
struct ReportCommandTests {
  private func page(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

  /// Nothing on a page may be fetched: no script, style sheet, picture or font from elsewhere.
  private func expectOffline(_ html: String) {
    #expect(html.hasPrefix("<!DOCTYPE html>") || html.hasPrefix("<!doctype html>"))
    for pattern in [
      #"<script[^>]*\ssrc="#, #"<link[^>]*\shref="#, #"<img[^>]*\ssrc="?https?:"#, #"@import\s"#, #"url\(["']?https?:"#,
    ] {
      #expect(html.range(of: pattern, options: .regularExpression) == nil, "\(pattern)")
    }
  }

  @Test func oneRunAndSeveral() throws {
    let scratch = try Scratch()
    for noise in ["0", "0.5"] {
      let result = try Program.run(
        ["train", "-q"] + SmallData.options.overridden(by: ["--noise", noise]) + [
          "--out", scratch.path("noise-" + noise),
        ])
      #expect(result.code == 0)
      // Training itself leaves a report.
      #expect(result.output.contains("Report: \(scratch.path("noise-" + noise))/report.html"))
    }
    let runs = [scratch.path("noise-0"), scratch.path("noise-0.5")]
    let one = try Program.run(["report", runs[0]])
    #expect(one.code == 0, "\(one.errors)")
    #expect(one.output.trimmingCharacters(in: .newlines) == runs[0] + "/report.html")
    expectOffline(try page(runs[0] + "/report.html"))
    let several = try Program.run(
      ["report"] + runs + ["--out", scratch.path("both.html"), "--title", "Two <runs> & more", "--json"])
    #expect(several.code == 0, "\(several.errors)")
    let written = try object(several.output)
    #expect(written["report"] as? String == scratch.path("both.html"))
    #expect((written["figures"] as? [String])?.isEmpty == true)
    let html = try page(scratch.path("both.html"))
    expectOffline(html)
    #expect(html.contains("Two &lt;runs&gt; &amp; more"))
    // Beside the working directory when several are drawn and no place is given.
    #expect(try Program.run(["report"] + runs, in: scratch.url.path).code == 0)
    #expect(FileManager.default.fileExists(atPath: scratch.path("report.html")))
    let elsewhere = try Program.run(["report", runs[0], "--out", scratch.path("new/folder/page.html")])
    #expect(elsewhere.code == 0, "\(elsewhere.errors)")
    expectOffline(try page(scratch.path("new/folder/page.html")))
    let unwritable = try Program.run(["report", runs[0], "--out", runs[0] + "/config.yaml/x.html"])
    #expect(unwritable.code == 1 && unwritable.errors.contains("is a file, not a folder"))
  }

  @Test(.enabled(if: isInstalled("python"), "vl-convert is not in .deps: make setup"))
  func figures() throws {
    let scratch = try Scratch()
    let run = scratch.path("run")
    try train(SmallData.options + ["--out", run])
    let result = try Program.run(
      ["report", run, "--svg", "--png", "--pdf", "--figures", scratch.path("figures"), "--json"])
    #expect(result.code == 0, "\(result.errors)")
    let paths = try #require(try object(result.output)["figures"] as? [String])
    for (ending, magic) in [("svg", "<svg"), ("png", "PNG"), ("pdf", "%PDF")] {
      let some = paths.filter { $0.hasSuffix("." + ending) }
      #expect(!some.isEmpty)
      for path in some {
        let start = try Data(contentsOf: URL(fileURLWithPath: path)).prefix(200)
        #expect(start.range(of: Data(magic.utf8)) != nil, "\(path)")
      }
    }
  }

  @Test(.enabled(if: isInstalled("python"), "vl-convert is not in .deps: make setup"))
  func oneFigureForAPaper() throws {
    let scratch = try Scratch()
    let run = scratch.path("run")
    try train(SmallData.options + ["--out", run])
    let result = try Program.run([
      "report", run, "--figure", "test-accuracy", "--figure", "overfit", "--pdf", "--width", "3.25", "--font-size", "8",
      "--log-steps", "--accuracy-from", "20", "--no-title",
    ])
    #expect(result.code == 0, "\(result.errors)")
    let files = result.output.split(separator: "\n").map(String.init)
    #expect(files == ["test-accuracy", "overfit"].map { run + "/figures/\($0).pdf" })
    // No page was asked for.
    #expect(!FileManager.default.fileExists(atPath: run + "/report.html"))
    // PDF is what a figure is without another wish.
    let other = try Program.run(["report", run, "--figure", "overfit", "--out", scratch.path("page.html"), "--json"])
    let written = try object(other.output)
    #expect(written["report"] as? String == scratch.path("page.html"))
    #expect((written["figures"] as? [String])?.map { $0.hasSuffix("overfit.pdf") } == [true])
  }

  @Test func seedsAsMeanAndBand() throws {
    let scratch = try Scratch()
    let runs = ["1", "2"].map { scratch.path("seed-" + $0) }
    for (seed, run) in zip(["1", "2"], runs) {
      try train(SmallData.options.overridden(by: ["--seed", seed]) + ["--out", run])
    }
    let page = scratch.path("page.html")
    let result = try Program.run(["report"] + runs + ["--group", "seed", "--out", page])
    #expect(result.code == 0, "\(result.errors)")
    #expect(try self.page(page).contains("mean of n = 2 runs; band: from the least to the greatest"))
  }

  static let mistakes: [(arguments: [String], code: Int32, parts: [String])] = [
    (["--figure", "accuracy"], 1, ["no figure called \"accuracy\"", "test-accuracy"]),
    (["--width", "3"], 64, ["--width is about figures", "--figure"]),
    (["--pdf", "--width", "300"], 64, ["300.0 inches", "1 to 40"]), (["--pdf", "--font-size", "0"], 64, ["3 to 72"]),
    (["--pdf", "--accuracy-from", "100"], 64, ["below 100 %"]), (["--group", "seeds"], 64, ["seeds", "seed"]),
    (["--group", "seed"], 1, ["only one run"]),
  ]

  @Test func mistakesAreExplained() async throws {
    let scratch = try Scratch()
    let run = scratch.path("run")
    try train(SmallData.options + ["--out", run])
    for (arguments, code, parts) in Self.mistakes {
      let result = await Program.runHere(["report", run] + arguments)
      #expect(result.code == code, "\(arguments): \(result.errors)")
      for part in parts { #expect(result.errors.contains(part), "\(arguments): \(result.errors)") }
    }
    let folder = await Program.runHere(["report", scratch.url.path])
    #expect(folder.code == 1 && folder.errors.contains("Name the runs in it: \(run)."), "\(folder.errors)")
    #expect(!FileManager.default.fileExists(atPath: run + "/report.html"))
  }

  @Test func theDemoInSmall() throws {
    let scratch = try Scratch()
    let result = try Program.run(["demo", "--steps", "3", "--out", scratch.path("demo")])
    #expect(result.code == 0, "\(result.errors)")
    for part in ["label noise", "100 %", "The same network reaches", "Report: \(scratch.path("demo"))/report.html"] {
      #expect(result.output.contains(part), "\(result.output)")
    }
    #expect(result.output.contains("M3, a median of three gradients"))
    for name in ["noise-0", "noise-50", "noise-50-rm3", "noise-50-m3", "noise-100"] {
      #expect(FileManager.default.fileExists(atPath: scratch.path("demo/\(name)/manifest.json")))
    }
    expectOffline(try page(scratch.path("demo/report.html")))
  }
}

@Suite struct DoctorTests {
  @Test func wordsAndJSON() throws {
    let words = try Program.run(["doctor"])
    for row in ["coherent", "libtorch", "processor", "threads", "linear layers", "devices"] {
      #expect(words.output.contains(row))
    }
    #expect(words.output.contains("cuda"))
    let json = try Program.run(["doctor", "--json"])
    let findings = try object(json.output)
    // Either there are devices or it is said why there are none.
    #expect(((findings["devices"] as? [String])?.count == 1) == (findings["cuda_problem"] is String))
    #expect(findings["libtorch_compiled"] as? String == findings["libtorch_loaded"] as? String)
    #expect((findings["devices"] as? [String])?.first == "cpu")
    #expect(findings["problems"] is [[String: Any]])
    let problems = (findings["problems"] as? [[String: Any]]) ?? []
    #expect(json.code == (problems.isEmpty ? 0 : 1))
    #expect(problems.allSatisfy { $0["problem"] is String && $0["remedy"] is String })
  }

  @Test func runWithoutADeviceSaysWhy() throws {
    let doctor = try object(Program.run(["doctor", "--json"]).output)
    guard let problem = doctor["cuda_problem"] as? String else { return }
    let scratch = try Scratch()
    let result = try Program.run(["train"] + SmallData.options + ["--device", "cuda", "--out", scratch.path("run")])
    #expect(result.code == 1)
    #expect(result.errors.contains("there is no CUDA device 0: \(problem). Use --device cpu"), "\(result.errors)")
  }

  @Test func aFolderWithoutDataIsAProblem() throws {
    let scratch = try Scratch()
    for folder in [scratch.url.path, scratch.path("none")] {
      let result = try Program.run(["doctor", "--data-dir", folder])
      #expect(result.code == 1)
      #expect(
        result.output.contains("Problem: \(folder) holds no data set") && result.output.contains("data fetch mnist"))
    }
    let present = try Program.run(["doctor", "--data-dir", SmallData.folder])
    #expect(present.output.contains("mnist in \(SmallData.folder)"))
  }

  @Test func missingPartsAreNamed() throws {
    let scratch = try Scratch()
    let result = try Program.run(["doctor"], environment: ["COHERENT_DEPS": scratch.url.path])
    #expect(result.code == 1)
    #expect(result.output.contains("reports cannot be written") && result.output.contains("make setup"))
  }
}
