// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// Words that cannot command a terminal, whatever names of files and classes are in them.
extension Console {
  /// Text with its control characters, but for line ends and tabs, written as escapes such as `\u001B`, and those that
  /// turn the direction of writing.
  static func plain(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    var output = ""
    for scalar in text.unicodeScalars {
      if isControl(scalar) {
        output += String(format: "\\u%04X", scalar.value)
      } else {
        output.unicodeScalars.append(scalar)
      }
    }
    return output
  }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09, 0x0A: false
    case ..<0x20, 0x7F..<0xA0, 0x202A...0x202E, 0x2066...0x2069: true
    default: false
    }
  }

  /// Writes a result to standard output.
  static func print(_ text: String, terminator: String = "\n") { Swift.print(plain(text), terminator: terminator) }

  /// An error's text, of a length that people read: an error may quote a file.
  static func message(of error: any Error) -> String {
    let text = plain(Coherent.fullMessage(for: error))
    return text.count <= longestMessage ? text : String(text.prefix(longestMessage)) + " …"
  }

  private static let longestMessage = 4000
}

extension Coherent {
  /// Runs a command; as the parser does it, but for what errors may hold.
  static func main() async {
    do {
      try requireOneProcess()
      var command = try await asyncParseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      let code = exitCode(for: error)
      // Help is as long as it is.
      if code == .success { exit(withError: error) }
      let text = Console.message(of: error)
      if !text.isEmpty { Console.write(text + "\n") }
      Foundation.exit(code.rawValue)
    }
  }
}
