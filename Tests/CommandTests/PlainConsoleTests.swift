// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import coherent

/// Names of files and classes cannot command a terminal.
@Suite struct PlainConsoleTests {
  @Test func controlCharactersAreWrittenOut() {
    #expect(Console.plain("a\u{1B}[2Jb\u{7}\r") == "a\\u001B[2Jb\\u0007\\u000D")
    #expect(Console.plain("\u{9B}31m\u{7F}\u{202E}") == "\\u009B31m\\u007F\\u202E")
    for text in ["plain", "two\nlines\tand a tab", "é ✓ 中 \u{202F}", "e\u{301}"] {
      #expect(Console.plain(text) == text)
    }
    #expect(!Console.fitted(["\u{1B}]0;title\u{7}", "x"]).contains("\u{1B}"))
  }

  @Test func errorsAreOfALengthThatPeopleRead() {
    struct Long: Error, CustomStringConvertible { let description: String }
    let text = Console.message(of: Long(description: "a\u{1B}[31m" + String(repeating: "x", count: 200_000)))
    #expect(text.count < 4100 && text.hasPrefix("Error: a\\u001B[31mxxx") && text.hasSuffix("…"))
  }

  @Test func theProgramWritesNoneEither() throws {
    let scratch = try Scratch()
    let result = try Program.run(["measure", scratch.path("no\u{1B}[31mrun\u{7}")])
    #expect(result.code == 1 && result.errors.contains("no\\u001B[31mrun\\u0007"), "\(result.errors)")
    #expect(!result.errors.contains("\u{1B}"))
    let help = try Program.run(["--help"])
    #expect(help.code == 0 && help.output.contains("SUBCOMMANDS"))
    let wrong = try Program.run(["doctor", "--no-such-option"])
    #expect(wrong.code == 64 && wrong.errors.contains("Unknown option '--no-such-option'"), "\(wrong.errors)")
  }
}
