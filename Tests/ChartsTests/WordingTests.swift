// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Charts

@Suite struct WordingTests {
  /// Numbers from files are of any size, and none of them ends the program.
  @Test(arguments: [1e300, -1e300, .infinity, -.infinity, .nan, 1e15, 9.3e18, -9.3e18, 4.6e18, 0, -0.2, 0.5])
  func everyNumberCanBeWritten(_ value: Double) {
    for text in [
      Wording.level(value), Wording.duration(value), Wording.integer(value), Wording.whole(value),
      Wording.percent(value),
    ] { #expect(!text.isEmpty) }
  }

  @Test func wholeNumbers() {
    #expect(Wording.whole(49.6) == "50" && Wording.whole(-0.2) == "0" && Wording.whole(.nan) == "–")
    #expect(Wording.integer(12345.4) == "12\u{202F}345" && Wording.integer(1e300) == "1e+300")
    #expect(Wording.level(0.5) == "50 %" && Wording.level(0.125) == "12.5 %" && Wording.level(.infinity) == "– %")
    #expect(Int(clamping: 1e300) == .max && Int(clamping: -.infinity) == .min && Int(clamping: .nan) == 0)
    #expect(Int(clamping: 2.9) == 2 && Int(clamping: -2.9) == -2)
  }

  /// A quote with an accent on it ends an attribute as any other does.
  @Test(arguments: ["\"", "'", "<", ">", "&"])
  func charactersThatHTMLReservesAreEscaped(_ character: String) {
    for text in [character, character + "\u{301}", "a" + character + "\u{200D}b"] {
      let escaped = Wording.html("x" + text + " onmouseover=alert(1)")
      #expect(!escaped.unicodeScalars.dropFirst().contains { "\"'<>".unicodeScalars.contains($0) }, "\(escaped)")
      #expect(escaped.contains("&"))
    }
  }

  /// The data of a figure is no formula of a spreadsheet.
  @Test func cellsAreNoFormulas() {
    let line = FigureLine("=1+1", points: [FigurePoint(x: 0, y: -0.5), FigurePoint(x: 1, y: 0.5)])
    let panel = FigurePanel(row: "@a", column: "", x: .steps, y: .accuracy(), lines: [line])
    let csv = FigureGrid(id: "grid", title: "t", caption: "c", section: "s", panels: [panel]).figure()?.csv ?? ""
    #expect(csv.contains("'=1+1,") && csv.contains("-0.5"), "\(csv)")
    #expect(!csv.contains("\n=") && !csv.contains(",=") && !csv.contains("\n@") && !csv.contains(",@"), "\(csv)")
  }

  @Test func pagesRunNoHandlersOfElements() {
    let page = PageFrame.document(title: "x\"\u{301}", body: "")
    #expect(page.contains("script-src-attr 'none'"))
  }
}
