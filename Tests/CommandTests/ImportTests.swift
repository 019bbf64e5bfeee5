// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// The table of targets in CONTRIBUTING.md is what the sources do.
@Suite struct ImportTests {
  private struct Row {
    let name: String
    let cell: String
  }

  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  private static func rows() throws -> [Row] {
    let text = try String(contentsOf: root.appendingPathComponent("CONTRIBUTING.md"), encoding: .utf8)
    return text.split(separator: "\n").compactMap { line in
      let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
        $0.trimmingCharacters(in: .whitespaces)
      }
      guard cells.count == 5, let name = words(cells[1]).first, cells[1] == "`\(name)`" else { return nil }
      return Row(name: name, cell: cells[3])
    }
  }

  /// What stands between backquotes.
  private static func words(_ text: String) -> [String] {
    text.matches(of: /`([^`]+)`/).map { String($0.output.1) }
  }

  /// The modules that a target's files import.
  private static func imports(of target: String) throws -> Set<String> {
    let folder = root.appendingPathComponent("Sources/\(target)")
    let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL }
    var found: Set<String> = []
    for file in files ?? [] where file.pathExtension == "swift" {
      let text = try String(contentsOf: file, encoding: .utf8)
      for match in text.matches(of: /(?m)^(?:@\w+(?:\([^)]*\))? +)*(?:\w+ +)?import +(?:\w+ +)?(\w+)/) {
        found.insert(String(match.output.1))
      }
    }
    return found
  }

  @Test func targetsImportWhatTheTableSays() throws {
    let rows = try Self.rows()
    let system: Set<String> = ["Foundation", "FoundationNetworking", "Synchronization", "Glibc", "Darwin"]
    #expect(rows.count > 15)
    for (place, row) in rows.enumerated() {
      var allowed = Set(Self.words(row.cell))
      if row.cell.hasPrefix("all above it but") {
        allowed.formUnion(rows[..<place].map(\.name))
        allowed.remove("CLibTorch")
      }
      let own = Set(rows.map(\.name)).intersection(allowed)
      #expect(own.isSubset(of: rows[..<place].map(\.name)), "\(row.name) may import only what stands above it")
      let foreign = try Self.imports(of: row.name).subtracting(allowed).subtracting(system)
      #expect(foreign.isEmpty, "\(row.name) imports \(foreign.sorted())")
    }
  }

  /// No target is missing, and only one sees libtorch.
  @Test func theTableIsComplete() throws {
    let rows = Set(try Self.rows().map(\.name))
    let folders = try FileManager.default.contentsOfDirectory(atPath: Self.root.appendingPathComponent("Sources").path)
    #expect(Set(folders.filter { !$0.hasPrefix(".") }).subtracting(rows).isSubset(of: ["CJPEG", "CPNG", "CZlib"]))
    #expect(try rows.filter { try Self.imports(of: $0).contains("CLibTorch") } == ["Tensors"])
  }
}
