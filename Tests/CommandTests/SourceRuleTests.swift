// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// What no source may do, since what it is done to may come from a file or a person.
@Suite struct SourceRuleTests {
  private struct Line {
    let place: String
    let text: String
    /// The one before.
    let above: String
  }

  private static func lines(of folder: String = "Sources") throws -> [Line] {
    let root = try #require(Program.root).appendingPathComponent(folder)
    let files = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL }
    return try (files ?? []).filter { $0.pathExtension == "swift" }.sorted { $0.path < $1.path }.flatMap { file in
      let name = file.path.dropFirst(root.path.count + 1)
      let lines = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n")
      return zip(lines.indices, lines).map { number, text in
        Line(place: "\(name):\(number + 1)", text: text, above: number > 0 ? lines[number - 1] : "")
      }
    }
  }

  /// The argument of each conversion to a whole number in a line.
  private static func arguments(of line: String) -> [Substring] {
    line.matches(of: /(?:^|[^\w.])U?Int(?:8|16|32|64)?\(/).map { match in
      var depth = 1
      return line[match.range.upperBound...].prefix { character in
        depth += character == "(" ? 1 : character == ")" ? -1 : 0
        return depth > 0
      }
    }
  }

  /// What says that an argument is a floating-point number.
  private static func looksFloating(_ argument: Substring) -> Bool {
    argument.contains(
      /\.rounded\(|\bDouble\(|\bfloor\(|\bceil\(|\bpow\(|\blog10\(|\.squareRoot\(|\d\.\d|\* 100\b|\b100 \*|\de\d/)
      || argument.contains(/[sS]hare|[pP]ercent|[sS]econds|\bwidth \/|place\(|timeInterval/)
  }

  /// A number that does not fit an `Int` ends the program: it is converted by `exactly` or `clamping`, or a comment says
  /// why it is in range.
  @Test func floatingPointNumbersAreConvertedSafely() throws {
    let faults = try Self.lines().filter { line in
      guard !line.text.contains("// In range:"), !line.above.contains("// In range:"),
        !line.text.trimmingCharacters(in: .whitespaces).hasPrefix("//")
      else { return false }
      return Self.arguments(of: line.text).contains { argument in
        let isLabelled = ["exactly:", "clamping:", "truncatingIfNeeded:", "bitPattern:"].contains {
          argument.hasPrefix($0)
        }
        // The parts of a `Duration` are whole.
        return !isLabelled && !argument.contains("components.") && !argument.contains("milliseconds")
          && Self.looksFloating(argument)
      }
    }
    #expect(faults.isEmpty, "\(faults.map { $0.place + ": " + $0.text })")
  }

  @Test func theRuleFindsWhatItIsFor() {
    for text in ["Int(x.rounded())", "Int(log10(low))", "min(3, Int(share * 4))", "Int(pow(10, 2))"] {
      #expect(Self.arguments(of: text).contains { Self.looksFloating($0) }, "\(text)")
    }
    for text in ["Int(word)", "Int(bytes[0])", "point(x.rounded())"] {
      #expect(!Self.arguments(of: text).contains { Self.looksFloating($0) }, "\(text)")
    }
  }

  /// A pipe or a device in a file's place is waited for without end by Foundation: files are opened by those that look
  /// first.
  @Test func filesAreOpenedByThoseThatLookFirst() throws {
    let allowed = [
      // Files of the system, and of the program itself.
      "Tensors/Processor.swift", "Runs/MemoryLimit.swift", "Studies/Grid/ChildProcess.swift",
      "Dashboard/Reading/RunRow.swift", "Charts/ChartAssets.swift",
      // After a look.
      "NeuralNetworks/PretrainedWeights.swift", "Datasets/IDX/FileReading.swift",
    ]
    let faults = try Self.lines().filter { line in
      let opens = [
        "Data(contentsOf:", "String(contentsOf", "FileHandle(forReading", "InputStream(", "fopen(",
      ].contains(where: line.text.contains)
      return opens && !allowed.contains { line.place.hasPrefix($0 + ":") }
    }
    #expect(faults.isEmpty, "\(faults.map { $0.place + ": " + $0.text })")
  }

  /// Names of files and classes may command a terminal: only `Console` prints.
  @Test func onlyTheConsolePrints() throws {
    let faults = try Self.lines().filter { line in
      line.place.hasPrefix("coherent/") && !line.place.hasPrefix("coherent/Terminal/")
        && line.text.contains(/(?:^|[^\w.])print\(/)
    }
    #expect(faults.isEmpty, "\(faults.map { $0.place + ": " + $0.text })")
  }

  /// The clock may be set while a program runs: how long something takes comes from one that only goes forward. The
  /// calendar is for the time of a record and for the age of a file.
  @Test func durationsDoNotComeFromTheCalendar() throws {
    let allowed = [
      // The time of a record.
      "RunStore/RunLogWriter.swift", "RunStore/RunDirectory+Files.swift", "RunStore/RunManifest.swift",
      "RunStore/AuditRecord.swift", "RunStore/RunEvent.swift", "RunStore/CorrectionLog.swift",
      "Dashboard/Pages/RunsPage.swift",
      // The age of a file.
      "Dashboard/Reading/FileStamp.swift", "Dashboard/Reading/RunRow.swift", "Studies/Grid/GridRunner.swift",
    ]
    let faults = try Self.lines().filter { line in
      line.text.contains(/\bDate\(\)|Date\.now|timeIntervalSince|CLOCK_REALTIME|gettimeofday|CFAbsoluteTime/)
        && !allowed.contains { line.place.hasPrefix($0 + ":") }
    }
    #expect(faults.isEmpty, "\(faults.map { $0.place + ": " + $0.text })")
  }

  /// Matrix products have one number of threads for the whole process: tests that set it run one at a time, and
  /// `scripts/run-tests` has a list of those.
  @Test func onlyTestsThatRunAloneSetThreads() throws {
    let root = try #require(Program.root)
    let script = try String(contentsOf: root.appendingPathComponent("scripts/run-tests"), encoding: .utf8)
    let list = try #require(script.firstMatch(of: /alone='\(.*?\)\((.*)\)\[/))
    let alone = list.output.1.split(separator: "|").map { $0 + "/" }
    let faults = try Self.lines(of: "Tests").filter { line in
      line.text.contains(/\bsetThreadCount\(\w/) && !alone.contains { line.place.hasPrefix($0) }
    }
    #expect(alone.count > 1 && faults.isEmpty, "\(faults.map { $0.place + ": " + $0.text })")
  }
}
