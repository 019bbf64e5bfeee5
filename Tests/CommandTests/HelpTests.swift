// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Testing
import Runs
import Training

@testable import coherent

/// The help of every command, against the files in `Snapshots`. COHERENT_RECORD_SNAPSHOTS=1 writes them anew.
@Suite struct HelpTests {
  /// The words of every command, from the program's own tree.
  private static let commands = words(of: Coherent.self, after: [])

  private static func words(of command: any ParsableCommand.Type, after path: [String]) -> [[String]] {
    [path] + command.configuration.subcommands.flatMap { words(of: $0, after: path + [$0._commandName]) }
  }

  @Test(arguments: commands)
  func snapshot(_ command: [String]) throws {
    let result = try Program.run(command + ["--help"])
    #expect(result.code == 0 && result.errors.isEmpty)
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Snapshots")
    let file = folder.appendingPathComponent((["coherent"] + command).joined(separator: "-") + ".txt")
    if ProcessInfo.processInfo.environment["COHERENT_RECORD_SNAPSHOTS"] == "1" {
      try Data(result.output.utf8).write(to: file)
    }
    let expected = try String(contentsOf: file, encoding: .utf8)
    #expect(result.output == expected, "run with COHERENT_RECORD_SNAPSHOTS=1 when the change is meant")
  }

  @Test func versionAndEmptyCommand() throws {
    let version = try Program.run(["--version"])
    #expect(version.code == 0)
    #expect(version.output.split(separator: ".").count == 3)
    #expect(try Program.run([]).output.contains("USAGE: coherent <subcommand>"))
  }

  /// What matters first comes first, and everything else under the title of its group.
  @Test func trainingOptionsAreInGroups() throws {
    let help = try Program.run(["train", "--help"]).output
    let titles = help.split(separator: "\n").filter { $0.hasSuffix(":") && $0 == $0.uppercased() }.map(String.init)
    #expect(
      titles == [
        "MAIN OPTIONS:", "DATA:", "LABELS AND NOISE:", "MODEL:", "OPTIMIZATION:", "MEASURING:",
        "RECORDS AND CHECKPOINTS:", "MACHINE:", "OPTIONS:",
      ])
    let main = help.components(separatedBy: "MAIN OPTIONS:\n").last?.components(separatedBy: "\n\n").first ?? ""
    let names = main.split(separator: "\n").filter { $0.hasPrefix("  --") }.compactMap {
      $0.split(separator: " ").first.map(String.init)
    }
    #expect(
      names == [
        "--dataset", "--data-dir", "--model", "--noise", "--optimizer", "--lr", "--batch-size", "--steps", "--epochs",
        "--seed", "--out",
      ])
  }

  /// Every training option appears in the help.
  @Test func everyOptionIsExplained() throws {
    let help = try Program.run(["train", "--help"]).output
    for name in TrainingKeys.all { #expect(help.contains("--\(name == "tags" ? "tag" : name)"), "--\(name)") }
  }
}

private enum TrainingKeys {
  static let all = TrainingConfiguration.options.map(\.key)
}
