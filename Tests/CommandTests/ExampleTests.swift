// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// The example program of the README does what the README says.
@Suite struct ExampleTests {
  @Test func ownModelShowsCoherenceAndWhoIsHelped() throws {
    let program = try #require(Program.path)
    let example = URL(fileURLWithPath: program).deletingLastPathComponent().appendingPathComponent("own-model-example")
    let output = Pipe()
    let process = Process()
    process.executableURL = example
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    let lines = text.split(separator: "\n").map(String.init)
    for layer in ["all", "hidden", "output"] { #expect(lines.contains { $0.hasPrefix("\(layer) m-coherence ") }) }
    let most = try #require(lines.firstIndex(of: "most helped"))
    let least = try #require(lines.firstIndex(of: "least helped"))
    #expect(least == most + 11 && lines.count == least + 11)
    // The examples that a step hurts are those whose labels the noise changed.
    #expect(lines[(least + 1)...].count { $0.contains("corrupt") } >= 8)
  }

  /// The README shows the program that is built and run, and says how long it is.
  @Test func theReadmeShowsTheExample() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let readme = try String(contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
    let program = try String(
      contentsOf: root.appendingPathComponent("Examples/OwnTraining/Sources/own-training/main.swift"), encoding: .utf8)
    let lines = program.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    #expect(lines.count <= 60 && readme.contains("\(lines.count) lines with the data"))
    let library = try #require(readme.range(of: "## As a library"))
    let block = try #require(readme[library.upperBound...].firstMatch(of: /```swift\n(?<code>[^`]*)```/))
    for line in block.code.split(separator: "\n") { #expect(lines.contains(line), "\(line)") }
  }
}
