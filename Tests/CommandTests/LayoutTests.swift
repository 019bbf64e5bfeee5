// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Studies
@testable import coherent

/// Lines that fit the terminal.
@Suite struct LayoutTests {
  @Test func partsOfALineGoWhereThereIsNoRoom() {
    let parts = ["████", "5/10", "", "12 steps/s", "3 s left"]
    #expect(Console.fitted(parts, width: 80) == "████  5/10  12 steps/s  3 s left")
    #expect(Console.fitted(parts, width: 31) == "████  5/10  12 steps/s")
    #expect(Console.fitted(parts, droppingFirst: [3, 0], width: 31) == "████  5/10  3 s left")
    #expect(Console.fitted(parts, droppingFirst: [3, 0], width: 15) == "5/10  3 s left")
    #expect(Console.fitted(parts, droppingFirst: [3, 0], width: 4) == "5/10")
    #expect(Console.fitted(parts, droppingFirst: [3, 0], width: 3) == "5/…")
    #expect(Console.fitted(["abc"], width: 0) == "" && Console.fitted([], width: 9) == "")
    for width in 0..<40 { #expect(Console.fitted(parts, droppingFirst: [1], width: width).count <= width) }
  }

  @Test func theBarOfAGridFits() {
    let progress = GridProgress(
      done: 3, total: 24, failed: 1, running: ["noise-100-sgd-seed1", "noise-100-sgd-seed2"], share: 0.5,
      secondsLeft: 3720)
    for width in 0...120 { #expect(GridConsole.line(progress, count: 24, width: width).count <= width) }
    let wide = GridConsole.line(progress, count: 24, width: 119)
    #expect(wide.contains("3/24 cells, 1 failed  noise-100-sgd-seed1, noise-100-sgd-seed2  1 h 02 min left"))
    #expect(GridConsole.line(progress, count: 24, width: 79).contains("3/24 cells, 1 failed  2 running  1 h 02 min"))
    #expect(GridConsole.line(progress, count: 24, width: 59).hasSuffix("3/24 cells, 1 failed  1 h 02 min left"))
  }

  @Test func textIsBrokenBetweenWords() {
    #expect(
      Console.wrapped("one two three four five six", after: "name  ", indent: 6, width: 26)
        == "name  one two three four\n      five six")
    #expect(Console.wrapped("", after: "a", width: 30) == "a")
    let path = String(repeating: "x", count: 50)
    #expect(Console.wrapped("in \(path) it", indent: 2, width: 30) == "in\n  \(path)\n  it")
  }

  @Test func tablesFit() {
    let rows = [["name", "pristine half learned", "b"], ["x", "1", "two words"]]
    #expect(
      Console.table(rows, width: 40)
        == "name   pristine half learned           b\nx                          1   two words")
    #expect(
      Console.table(rows, width: 38) == "name  pristine half learned          b\nx                         1  two words"
    )
    #expect(
      Console.table(rows, width: 25)
        == "name  pristine          b\n          half\n       learned\nx            1  two words")
    // Words stay whole.
    #expect(Console.table([["aaaa", "bbbb"]], width: 3) == "aaaa  bbbb")
  }

  /// At 80 columns no line of a list is longer.
  @Test(arguments: [
    ["data", "list"], ["model", "list"], ["study", "list"], ["study", "info", "cg/winsorized"],
    ["study", "info", "gm/width-depth"], ["model", "info", "resnet20"],
  ])
  func listsFit(_ command: [String]) throws {
    let result = try Program.run(command, environment: ["COLUMNS": "80"])
    #expect(result.code == 0, "\(result.errors)")
    for line in result.output.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
  }

  @Test func doctorFits() throws {
    let result = try Program.run(["doctor", "--data-dir", SmallData.folder], environment: ["COLUMNS": "80"])
    // A path is never broken.
    for line in result.output.split(separator: "\n") {
      #expect(line.count <= 80 || line.contains("/"), "\(line)")
    }
  }

  @Test func studiesNameTheirPapers() throws {
    let (help, list) = (try Program.run(["study", "--help"]).output, try Program.run(["study", "list"]).output)
    func plain(_ text: String) -> String { text.split { " \n".contains($0) }.joined(separator: " ") }
    #expect(StudyCatalog.papers.map(\.isOwn) == [false, false, false, false, true])
    #expect(StudyCatalog.papers.filter { !$0.isOwn }.map(\.prefix) == ["cg", "ws", "mc", "gm"])
    for paper in StudyCatalog.papers where !paper.isOwn {
      #expect(plain(help).contains("\(paper.prefix)/...: \(paper.title)"), "\(help)")
      #expect(plain(list).contains(paper.title))
    }
    for study in StudyCatalog.all { #expect(list.contains("  \(study.id)   "), "\(study.id)") }
  }
}
