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
}
