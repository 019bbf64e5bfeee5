// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import Charts

/// Grids of panels, bars and maps from plain numbers, and their data as tables.
@Suite struct GridFigureTests {
  private func line(_ series: String, measure: String? = nil, _ values: [Double], band: Double? = nil) -> FigureLine {
    FigureLine(
      series, measure: measure,
      points: values.enumerated().map { index, value in
        FigurePoint(x: Double(index * 10), y: value, low: band.map { value - $0 }, high: band.map { value + $0 })
      })
  }

  private func grid(
    _ panels: [FigurePanel], layout: FigureGrid.Layout = .matrix, order: [String] = []
  ) -> FigureGrid {
    FigureGrid(
      id: "grid", title: "A grid", caption: "How to read it.", section: "Section", layout: layout, order: order,
      panels: panels)
  }

  private func panel(_ row: String, _ column: String, _ lines: [FigureLine]) -> FigurePanel {
    FigurePanel(row: row, column: column, x: .steps, y: .accuracy(), lines: lines)
  }

  private func parsed(_ figure: Figure) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: Data(figure.specification.utf8)) as? [String: Any])
  }

  private func rows(_ figure: Figure) throws -> [[String: Any]] {
    try #require((parsed(figure)["datasets"] as? [String: [[String: Any]]])?["panels"])
  }

  private func views(_ figure: Figure) throws -> [[String: Any]] {
    try #require(parsed(figure)["concat"] as? [[String: Any]])
  }

  /// The encoding of the curves of a panel.
  private func encoding(_ view: [String: Any]) throws -> [String: [String: Any]] {
    let layers = try #require(view["layer"] as? [[String: Any]])
    let curves = layers.first { ($0["mark"] as? [String: Any])?["type"] as? String == "line" }
    let channels = try #require(curves?["encoding"] as? [String: Any])
    return channels.compactMapValues { $0 as? [String: Any] }
  }

  @Test func dataKeepPanelsSeriesAndBands() throws {
    let figure = try #require(
      grid([
        panel("A", "x", [line("one", [0.1, 0.2], band: 0.05)]), panel("A", "y", [line("two", measure: "test", [0.3])]),
      ]).figure())
    let data = try rows(figure)
    #expect(data.map { $0["panel"] as? Int } == [0, 0, 1])
    #expect(data.map { $0["y"] as? Double } == [0.1, 0.2, 0.3])
    #expect(data[1]["x"] as? Double == 10 && data[1]["low"] as? Double == 0.15 && data[1]["high"] as? Double == 0.25)
    #expect(data[2]["measure"] as? String == "test" && data[2]["low"] == nil)
    #expect(
      figure.csv
        == "panel,series,x,y,low,high\n\"A, x\",one,0,0.1,0.05,0.15000000000000002\n\"A, x\",one,10,0.2,0.15000000000000002,"
        + "0.25\n\"A, y\",\"two, test\",0,0.3,,\n")
  }

  @Test func panelsWithEqualAxesShareTheirEndsAndLabels() throws {
    let figure = try #require(
      grid([
        panel("A", "x", [line("one", [0, 1])]), panel("A", "y", [line("one", [0, 1, 1, 1])]),
        panel("B", "x", [line("one", [0])]),
        FigurePanel(row: "B", column: "y", x: .steps, y: FigureAxis("Loss"), lines: [line("one", [3, 9])]),
      ]).figure())
    let encodings = try views(figure).map(encoding)
    let steps = encodings.map { ($0["x"]?["scale"] as? [String: Any])?["domain"] as? [Double] }
    #expect(steps == Array(repeating: [0, 30], count: 4))
    let labels = encodings.map { ($0["y"]?["axis"] as? [String: Any])?["labels"] as? Bool }
    #expect(labels == [true, false, true, true])
    #expect(encodings.map { ($0["x"]?["axis"] as? [String: Any])?["labels"] as? Bool } == [false, false, true, true])
    let loss = (encodings[3]["y"]?["scale"] as? [String: Any])?["domain"] as? [Double]
    let ends = try #require(loss)
    #expect(ends[0] <= 3 && ends[1] >= 9)
    #expect((encodings[0]["x"]?["scale"] as? [String: Any])?["type"] as? String == "symlog")
  }

  @Test func aGapInTheMatrixStaysEmpty() throws {
    let figure = try #require(
      grid([panel("A", "x", [line("one", [0, 1])]), panel("B", "y", [line("one", [0, 1])]), panel("B", "x", [])])
        .figure())
    #expect(try views(figure).count == 4)
    #expect(figure.specification.contains("no data"))
    #expect(grid([panel("A", "x", [])]).figure() == nil && grid([]).figure() == nil)
  }

  @Test func seriesKeepTheirOrderAndColours() throws {
    let figure = try #require(
      grid(
        [panel("", "", [line("b", [1]), line("corrupt", [1]), line("a", [1])])], order: ["a", "absent", "b"]
      ).figure())
    let color = try #require(encoding(try views(figure)[0])["color"]?["scale"] as? [String: [String]])
    #expect(color["domain"] == ["a", "b", "corrupt"])
    #expect(color["range"]?[2] == Palette.corrupt.light && Set(color["range"] ?? []).count == 3)
    #expect(figure.shades.map(\.light) == color["range"])
  }

  @Test func whatALogarithmicAxisCannotShowIsOnlyInTheTable() throws {
    let points = [0, 1, 100].map { FigurePoint(x: $0, y: 2) }
    let figure = try #require(
      grid([
        FigurePanel(
          x: FigureAxis("Batch size", scale: .logarithmic), y: FigureAxis("Gap"),
          lines: [FigureLine("one", points: points)])
      ]).figure())
    #expect(try rows(figure).count == 2)
    #expect(figure.csv.contains("one,0,2,,"))
    #expect(try encoding(try views(figure)[0])["x"]?["scale"] as? [String: Any] != nil)
  }

  @Test func longCurvesAreThinnedOnScreenOnly() throws {
    let figure = try #require(grid([panel("", "", [line("one", Array(repeating: 0.5, count: 5000))])]).figure())
    #expect(try rows(figure).count <= 702)
    #expect(figure.csv.split(separator: "\n").count == 5001)
  }

  @Test func barsHaveRangesAndExpectedValues() throws {
    let figure = try #require(
      FigureBars(
        id: "bars", title: "Bars", caption: "", section: "", categories: "", y: FigureAxis("Value"),
        panels: [
          .init("a", bars: [FigureBar("real", value: 0.6, low: 0.5, high: 0.7, expected: 0.625)]), .init(bars: []),
        ]
      ).figure())
    let row = try #require(rows(figure).first)
    #expect(row["value"] as? Double == 0.6 && row["expected"] as? Double == 0.625 && row["high"] as? Double == 0.7)
    #expect(figure.csv == "panel,series,x,y,low,high\na,Value,real,0.6,0.5,0.7\na,\"Value, expected\",real,0.625,,\n")
    #expect(
      FigureBars(id: "", title: "", caption: "", section: "", categories: "", y: .steps, panels: []).figure() == nil)
  }

  @Test func aDenseTable() throws {
    func map(_ isDense: Bool) throws -> Figure {
      try #require(
        FigureMap(
          id: "table", title: "Table", caption: "", section: "", rows: "", columns: "", value: FigureAxis("AUROC"),
          cells: [("a", "one", 0.9), ("a", "two", 0.75), ("b", "one", 0.95)].map {
            .init(row: $0.0, column: $0.1, value: $0.2)
          }, isDense: isDense
        ).figure())
    }
    #expect(try map(true).csv == "panel,series,x,y,low,high\n,a,one,0.9,,\n,a,two,0.75,,\n,b,one,0.95,,\n")
    // The largest number of each column stands out.
    #expect(try rows(map(true)).map { $0["largest"] as? Bool } == [false, true, true])
    #expect(try rows(map(true)).map { $0["text"] as? String } == ["0.900", "0.750", "0.950"])
    #expect(try rows(map(false)).allSatisfy { $0["largest"] as? Bool == false })
  }

  @Test func pointsThatNoLineJoins() throws {
    let figure = try #require(
      FigureScatter(
        id: "points", title: "Points", caption: "Numbers:", section: "", x: FigureAxis("x"), y: FigureAxis("y"),
        groups: ["A", "B"],
        points: [("A", "one", 1, 2), ("B", "one", 2, 3), ("B", "two", 4, 5)].map {
          .init(group: $0.0, name: $0.1, x: $0.2, y: $0.3)
        }
      ).figure())
    #expect(figure.caption == "Numbers: 1 one; 2 two.")
    #expect(figure.csv == "panel,series,x,y,low,high\none,A,1,2,,\none,B,2,3,,\ntwo,B,4,5,,\n")
    let points = try #require((parsed(figure)["datasets"] as? [String: [[String: Any]]])?["points"])
    #expect(points.map { $0["number"] as? String } == ["1", "1", "2"])
    #expect(
      FigureScatter(
        id: "", title: "", caption: "", section: "", x: .steps, y: .steps, groups: [], points: []
      ).figure() == nil)
  }

  @Test func wordsOverABarStandAboveTheLineAcrossItOnlyWhereTheyWouldMeet() throws {
    // The paper's line lies within the range, well above it, far below it, or where the words are.
    let bars = [1.01, 1.3, 0.5, 1.1].map { (line: Double) in
      FigureBar("line at \(line)", value: 1, low: 0.9, high: 1.02, expected: line, note: "1.000×")
    }
    let figure = try #require(
      FigureBars(
        id: "bars", title: "Bars", caption: "", section: "", categories: "", y: FigureAxis("Value"),
        panels: [.init(bars: bars)]
      ).figure())
    #expect(try rows(figure).map { $0["top"] as? Double } == [1.02, 1.02, 1.02, 1.1])
  }

  @Test func mapsShowTheirNumbers() throws {
    let cells = [("easy", "hard", 0.17), ("easy", "easy", 0.85)].map {
      FigureMap.Cell(row: $0.0, column: $0.1, value: $0.2)
    }
    let figure = try #require(
      FigureMap(
        id: "map", title: "Map", caption: "", section: "", rows: "", columns: "", value: .accuracy(), cells: cells
      ).figure())
    #expect(try rows(figure).map { $0["text"] as? String } == ["17.0 %", "85.0 %"])
    #expect(figure.csv == "panel,series,x,y,low,high\n,easy,hard,0.17,,\n,easy,easy,0.85,,\n")
  }

  @Test func roundedEndsHoldTheData() {
    for (low, high) in [(0.0, 0.83), (-0.31, 0.49), (-0.001, 0.9), (3, 3), (0, 0), (1e-7, 2e-7), (-5, 1e6)] {
      let range = FigureAxis.rounded(low, high)
      #expect(range.lowerBound <= low && range.upperBound >= high && range.lowerBound < range.upperBound)
    }
    #expect(FigureAxis.rounded(-0.001, 0.9).lowerBound > -0.01)
  }

  @Test func figuresAreExportedWithTheirTables() throws {
    let scratch = try Scratch()
    let figure = try #require(grid([panel("A", "x", [line("one", [0, 1])])]).figure())
    let files = try Figure.export(
      [figure], to: scratch.url.appendingPathComponent("figures"), formats: [], withTables: true)
    #expect(files.map(\.lastPathComponent) == ["grid.csv"])
    #expect(try String(contentsOf: files[0], encoding: .utf8) == figure.csv)
  }
}
