// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@Suite struct MeasureTests {
  /// A trained run, made once.
  private static let run: String = {
    let path = FileManager.default.temporaryDirectory.resolvingSymlinksInPath().appendingPathComponent(
      "command-measured-\(UUID().uuidString)"
    ).path
    do {
      try train(SmallData.options + ["--out", path])
    } catch {
      Issue.record("The run to measure could not be made: \(error)")
    }
    atexit { try? FileManager.default.removeItem(atPath: MeasureTests.run) }
    return path
  }()

  static let bad: [(arguments: [String], code: Int32, parts: [String])] = [
    (["--examples", "201"], 1, ["201 train examples", "there are 200", "1 to 200"]),
    (["--split", "test", "--examples", "101"], 1, ["101 test examples", "1 to 100"]),
    (["--examples", "0"], 1, ["a probe of 0"]), (["--examples", "-3"], 1, ["a probe of -3"]),
    (["--examples", "many"], 64, ["many"]), (["--chunk-size", "0"], 64, ["--chunk-size must be at least 1"]),
    (["--threads", "0"], 1, ["threads must be from 1"]), (["--step", "7"], 1, ["no checkpoint of step 7", "30"]),
    (["--split", "validation"], 64, ["validation"]), (["--bn-policy", "none"], 64, ["none"]),
    (["--device", "gpu"], 1, ["device must be cpu or cuda"]),
    (["--dataset", "glyphs:20", "--examples", "50"], 1, ["does not fit glyphs:20", "in 20 classes"]),
    (["--dataset", "mnits"], 1, ["\"mnits\""]), (["--data-dir", "/nowhere/at/all"], 1, ["/nowhere/at/all"]),
    (["--records", "/nowhere/at/all.csv"], 1, ["/nowhere/at/all.csv", "--records"]),
    (["--records", "/"], 1, ["is a folder", "--records"]), (["--records", ""], 64, ["empty name"]),
    (["--records", "/proc/records.csv"], 1, ["/proc/records.csv", "--records"]),
  ]

  @Test(arguments: bad.indices)
  func mistakes(_ index: Int) async {
    let (arguments, code, parts) = Self.bad[index]
    let result = await Program.runHere(["measure", "--checkpoint", Self.run] + arguments)
    #expect(result.code == code, "\(arguments): \(result.errors)")
    #expect(result.errors.hasPrefix("Error: "), "\(arguments): \(result.errors)")
    for part in parts { #expect(result.errors.contains(part), "\(arguments): \(result.errors)") }
  }

  /// As the other commands take a run, and as before.
  @Test func theRunIsAnArgument() throws {
    let byPlace = try Program.run(["measure", Self.run, "--examples", "50", "--json"])
    let byName = try Program.run(["measure", "--checkpoint", Self.run, "--examples", "50", "--json"])
    #expect(byPlace.code == 0 && byName.code == 0, "\(byPlace.errors)\(byName.errors)")
    #expect(try object(byPlace.output)["alpha"] as? Double == object(byName.output)["alpha"] as? Double)
  }

  @Test func oneRunIsNamed() async {
    let none = await Program.runHere(["measure"])
    #expect(none.code == 64 && none.errors.contains("No run directory was named"), "\(none.errors)")
    let two = await Program.runHere(["measure", "a", "--checkpoint", "b"])
    #expect(two.code == 64 && two.errors.contains("Two runs were named, a and b"), "\(two.errors)")
  }

  /// Before anything is loaded: the run is not even there.
  @Test func recordsAreRefusedBeforeTheWork() async {
    let result = await Program.runHere(["measure", "--checkpoint", "/nowhere/run", "--records", "/nowhere/x.csv"])
    #expect(result.code == 1 && result.errors.contains("/nowhere/x.csv"), "\(result.errors)")
  }

  /// Images of another size, and other images of the same size.
  @Test func dataThatDoNotFit() async throws {
    let scratch = try Scratch()
    func big(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
    for (side, stem) in [(8, "t10k"), (28, "train")] {
      let images = big(0x803) + big(10) + big(side) + big(side) + [UInt8](repeating: 7, count: 10 * side * side)
      try scratch.write(Data(images), "small/\(stem)-images-idx3-ubyte")
      try scratch.write(Data(big(0x801) + big(10) + (0..<10).map { UInt8($0) }), "small/\(stem)-labels-idx1-ubyte")
    }
    for (split, parts) in [("test", ["t10k-images", "8x8", "28x28"]), ("train", ["labels.csv", Self.run])] {
      let result = await Program.runHere(
        ["measure", "--checkpoint", Self.run, "--split", split, "--data-dir", scratch.path("small")])
      #expect(result.code == 1, "\(result.errors)")
      for part in parts { #expect(result.errors.contains(part), "\(result.errors)") }
    }
  }

  @Test func recordsAndRelatedMeasures() throws {
    let scratch = try Scratch()
    let plain = try Program.run(["measure", "--checkpoint", Self.run, "--json"])
    let result = try Program.run([
      "measure", "--checkpoint", Self.run, "--json", "--related", "--records", scratch.path("records.csv"),
    ])
    #expect(result.code == 0, "\(result.errors)")
    let (before, answer) = (try object(plain.output), try object(result.output))
    #expect(before["related"] == nil && before["alpha"] as? Double == answer["alpha"] as? Double)
    let related = try #require(answer["related"] as? [String: Any])
    #expect(related["m"] as? Int == 200 && related["stiffness_cosine"] is Double && related.count == 12)
    let lines = try scratch.text("records.csv").split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    #expect(lines.count == 201)
    #expect(
      lines[0].joined(separator: ",") == "index,label,is_corrupt,dot,squared_norm,cosine,loss,margin,correct")
    let corrupt = try scratch.text("records.csv").split(separator: "\n").dropFirst().map { $0.split(separator: ",")[2] }
    #expect(corrupt.contains("1") && corrupt.contains("0"))
    // Σ⟨gᵢ, ḡ⟩/Σ‖gᵢ‖² = m‖ḡ‖²/Q = α.
    let rows = lines.dropFirst()
    let (dots, squares) = (
      rows.reduce(0) { $0 + (Double($1[3]) ?? .nan) }, rows.reduce(0) { $0 + (Double($1[4]) ?? .nan) }
    )
    let alpha = try #require(answer["alpha"] as? Double)
    #expect(abs(dots / squares / alpha - 1) < 1e-4)
    let text = try Program.run(["measure", "--checkpoint", Self.run, "--related", "--examples", "50"])
    #expect(text.output.contains("related, of 50 examples") && text.output.contains("stiffness sign within"))
  }

  /// One step so long that every example is certain: all gradients are exactly 0, and coherence is undefined.
  @Test func zeroGradients() throws {
    let scratch = try Scratch()
    let labels = try scratch.write(String(repeating: "0\n", count: 200), "labels.csv")
    let options = [
      "--model", "linear", "--labels", labels, "--noise", "0", "--lr", "1e5", "--steps", "3", "--out",
      scratch.path("run"),
    ]
    let probes = ["coherence@log", "examples@log", "measures@log", "stability@log"].flatMap { ["--probe", $0] }
    try train(SmallData.options.overridden(by: options) + probes)
    let arguments = ["measure", "--checkpoint", scratch.path("run"), "--related", "--records", scratch.path("r.csv")]
    let text = try Program.run(arguments)
    #expect(text.code == 0 && text.output.contains("Every gradient is 0, so coherence is undefined."), "\(text)")
    let json = try Program.run(arguments + ["--json"])
    let answer = try object(json.output)
    #expect(!(answer["alpha"] is Double) && answer["m"] as? Int == 200)
    #expect((answer["related"] as? [String: Any])?["stiffness_cosine"] is NSNull)
    #expect(!json.output.lowercased().contains("nan") && !text.output.lowercased().contains("nan"))
    #expect(try scratch.text("r.csv").split(separator: "\n")[1].contains(",0.0,0.0,,"))
    #expect(try !scratch.text("run/measures.csv").lowercased().contains("nan"))
  }
}
