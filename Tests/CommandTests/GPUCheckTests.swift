// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

/// `scripts/gpu-check` with the CPU in place of the GPU: its comparisons find no difference, and one that there is.
@Suite(.enabled(if: isThere("python3"), "python3 is needed for gpu-check")) struct GPUCheckTests {
  /// - Parameter optimizers: those to compare; all when empty.
  private func check(_ program: String, out: String, optimizers: [String] = []) throws -> (code: Int32, words: String) {
    let root = try #require(Program.root)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "python3", root.appendingPathComponent("scripts/gpu-check").path, program, "--device", "cpu", "--quick",
      // A busy machine must not run out of the time that a GPU needs.
      "--no-times", "--minutes", "120", "--out", out,
    ]
    if !optimizers.isEmpty { process.arguments? += ["--optimizers"] + optimizers }
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let words = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, words)
  }

  @Test func theProcessorAgreesWithItself() throws {
    let scratch = try Scratch()
    let result = try check(#require(Program.path), out: scratch.path("out"))
    #expect(result.code == 0, "\(result.words)")
    let found = try object(scratch.text("out/gpu-check.json"))
    #expect(found["passed"] as? Bool == true)
    let parts = try #require(found["parts"] as? [String: [String: Any]])
    let optimizers = try #require(parts["optimizers, mlp"]?["optimizers"] as? [String: [String: Any]])
    #expect(optimizers.count == 12)
    #expect(optimizers.values.allSatisfy { $0["bits_agree"] as? Bool == true })
    let table = try scratch.text("out/gpu-check.md")
    for words in ["| geomed:k=5 | 0 |", "| resnet20 | layer1.0.conv1 |", "same bits", "All checks passed."] {
      #expect(table.contains(words), "\(table)")
    }
  }

  /// A program that reads another learning rate on the second device fails the comparison, and the parts after it run.
  @Test func aDifferenceFails() throws {
    let scratch = try Scratch()
    let program = try scratch.write(
      """
      #!/bin/bash
      case "$*" in
        *"--optimizer m3 --out "*/mlp-*-device) set -- "${@/0.05/0.06}" ;;
        *"measure "*) echo "no measure" >&2; exit 3 ;;
      esac
      exec '\(try #require(Program.path))' "$@"
      """, "program")
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
    let result = try check(program, out: scratch.path("out"), optimizers: ["sgd", "m3", "m3:successive"])
    #expect(result.code == 1, "\(result.words)")
    let table = try scratch.text("out/gpu-check.md")
    let row = try #require(table.split(separator: "\n").first { $0.hasPrefix("| m3 |") })
    #expect(row.contains("FAILED"), "\(table)")
    #expect(table.contains("| m3:successive | 0 |") && table.contains("exit code 3: no measure"), "\(table)")
    #expect(table.contains("same bits") && table.contains("NOT all checks passed."))
  }
}

private func isThere(_ program: String) -> Bool {
  (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
    FileManager.default.isExecutableFile(atPath: "\($0)/\(program)")
  }
}
