// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import TestSupport
import Testing

@testable import coherent

@Suite struct TransformerTests {
  private static let options = [
    "--dataset", "modular:7", "--model", "transformer:layers=1,width=8,heads=2", "--optimizer", "adamw", "--lr", "0.01",
    "--batch-size", "13", "--steps", "10", "--threads", "1",
  ]

  @Test func aTransformerLearnsSums() throws {
    let scratch = try Scratch()
    let result = try Program.run(
      ["train"] + Self.options + [
        "--noise", "0.2", "--probe", "coherence@log", "--probe", "measures:m=20@log", "--out", scratch.path("run"),
      ])
    #expect(result.code == 0, "\(result.errors)")
    #expect(try scratch.text("run/classes.csv").hasPrefix("class,name\n0,0\n1,1\n"))
    #expect(try scratch.text("run/coherence.csv").contains(",encoder.layers.encoder_layer_0.self_attention,"))
    let measured = try Program.run(["measure", "--checkpoint", scratch.path("run"), "--examples", "20", "--json"])
    #expect(measured.code == 0, "\(measured.errors)")
    #expect(((try object(measured.output)["layers"] as? [[String: Any]]) ?? []).count == 10)
    let evaluated = try Program.run(["evaluate", scratch.path("run"), "--json"])
    #expect(evaluated.code == 0, "\(evaluated.errors)")
  }

  @Test(arguments: [
    (["--dataset", "modular:300"], Int32(1), "from 2 to 255"), (["--model", "mlp:8"], 1, "are tokens"),
    (["--model", "transformer:heads=3"], 1, "heads=2 would fit it"),
    (["--model", "transformer:depth=3"], 1, "no setting \"depth\""),
    (["--example", "sequence"], 1, "leave it out for modular:7"), (["--example", "word"], 64, "sequence"),
    (["--dataset", "text", "--data-dir", "/nowhere"], 1, "/nowhere does not exist"),
    (["--augment", "flip"], 1, "leave augment out"), (["--test-fraction", "2"], 1, "test-fraction must be"),
  ]) func mistakesAreNamed(_ arguments: [String], _ code: Int32, _ part: String) async throws {
    let scratch = try Scratch()
    let result = await Program.runHere(
      ["train"] + Self.options.overridden(by: arguments) + ["--out", scratch.path("run")])
    #expect(result.code == code && result.errors.contains(part), "\(result.errors)")
    #expect(!FileManager.default.fileExists(atPath: scratch.path("run")))
  }

  @Test(arguments: ["token", "sequence"]) func aTransformerLearnsText(_ example: String) throws {
    let scratch = try Scratch()
    let file = try scratch.write(String(repeating: "abcab cabba. ", count: 60), "text.txt")
    let options = [
      "--dataset", "text:8", "--data-dir", file, "--example", example, "--subset", "60", "--test-subset", "10",
      "--batch-size", "10", "--probe", "coherence:m=20@log",
    ]
    let result = try Program.run(
      ["train"] + Self.options.overridden(by: options) + ["--out", scratch.path("run"), "--json"])
    #expect(result.code == 0, "\(result.errors)")
    let manifest = try #require(try object(result.output)["manifest"] as? [String: Any])
    #expect((manifest["extra"] as? [String: Any])?["example"] as? String == example)
    #expect(try scratch.text("run/config.yaml").contains("example: \(example)\n"))
  }

  @Test func auditsNeedPictures() throws {
    let scratch = try Scratch()
    let result = try Program.run(["audit", "--dataset", "modular:7", "--out", scratch.path("audit")])
    #expect(result.code == 64 && result.errors.contains("are tokens"), "\(result.errors)")
  }

  @Test func dataAndModelAreDescribed() throws {
    let info = try Program.run(["data", "info", "modular:7"])
    #expect(info.code == 0 && info.output.contains("modular:7 train: 39 examples of 3 tokens"), "\(info.errors)")
    #expect(info.output.contains("tokens 0 to 7") && !info.output.contains("pixel"))
    let model = try Program.run(["model", "info", "transformer:layers=1,width=8,heads=2", "--classes", "7"])
    #expect(model.code == 0 && model.output.contains("MultiheadAttention"), "\(model.errors)")
    let refused = try Program.run(["model", "info", "resnet20", "--vocabulary", "3"])
    #expect(refused.code == 64 && refused.errors.contains("models of tokens"))
    let large = try Program.run(["model", "info", "transformer:layers=1000,width=65536,heads=1"])
    #expect(large.code == 64 && large.errors.contains("Choose smaller widths"), "\(large.errors)")
    #expect(try Program.run(["model", "list"]).output.contains("transformer[:KEY=N,...]"))
  }
}
