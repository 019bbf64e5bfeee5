// SPDX-License-Identifier: Apache-2.0

import Charts
import ArgumentParser
import Foundation
import Reports
import RunStore

extension PooledKey: ExpressibleByArgument {}

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Draw one or more runs: an HTML page that works offline, and figures for print.",
    discussion: """
      Examples: coherent report run
                coherent report run --figure test-accuracy --pdf --width 3.25 --font-size 8
                coherent report seed-1 seed-2 seed-3 --group seed
      """)

  @Argument(help: "The run directories; several are overlaid.") var runs: [String]

  @Option(help: "The HTML file to write. (default: report.html in the run, or here for several)") var out: String?

  @Option(help: "The page's title.") var title: String?

  @Option(
    help: """
      Draw runs that differ only in this as one: their mean, with a band from the least to the greatest value. Repeat it \
      for several keys.
      """) var group: [PooledKey] = []

  @Option(help: "Which evaluation the findings are about: last, best (on the test set) or selected (by validation).")
  var select: WeightSelection = .last

  @OptionGroup(title: "Figures for print") var inPrint: Print

  @Flag(help: "Print what was written as JSON.") var json = false

  /// What is drawn beside the page, and how.
  struct Print: ParsableArguments {
    @Flag(help: "Also write figures as SVG.")
    var svg = false
    @Flag(help: "Also write figures as PNG.")
    var png = false
    @Flag(help: "Also write figures as PDF.")
    var pdf = false

    @Option(help: "The folder for figures. (default: figures beside the page)") var figures: String?

    @Option(
      help: """
        Write this figure alone, as PDF unless --svg or --png says otherwise, and no page unless --out names it. Repeat it \
        for several; an unknown name lists those there are.
        """) var figure: [String] = []

    @Option(help: "The width of each figure in inches; a column of a paper has about 3.3.")
    var width: Double?
    @Option(help: "The height of each figure in inches.")
    var height: Double?
    @Option(help: "The size of letters in points. (default: 11)")
    var fontSize: Double?
    @Flag(help: "Logarithmic step axes, without step 0.")
    var logSteps = false
    @Option(help: "Where accuracy axes begin, in per cent. (default: 0, or closer where all curves end close together)")
    var accuracyFrom: Double?
    @Flag(help: "Leave titles out, as papers have them in captions.") var noTitle = false

    /// The formats asked for.
    var formats: [FigureFormat] {
      let named = [(svg, FigureFormat.svg), (png, .png), (pdf, .pdf)].filter(\.0).map(\.1)
      return named.isEmpty && !figure.isEmpty ? [.pdf] : named
    }

    /// The first option that says how figures look, where one was given.
    private var lookOption: String? {
      [
        (width != nil, "--width"), (height != nil, "--height"), (fontSize != nil, "--font-size"),
        (logSteps, "--log-steps"), (accuracyFrom != nil, "--accuracy-from"), (noTitle, "--no-title"),
      ].first(where: \.0)?.1
    }

    func validate() throws {
      if formats.isEmpty, let lookOption {
        throw ValidationError(
          "\(lookOption) is about figures, and none is asked for. Add --figure, --svg, --png or --pdf.")
      }
      do {
        _ = try look()
      } catch let error as ChartError {
        throw ValidationError(error.description)
      }
    }

    func look() throws -> FigureLook {
      try FigureLook(
        width: width, height: height, fontSize: fontSize, logarithmicSteps: logSteps,
        accuracyFrom: accuracyFrom.map { $0 / 100 }, hasTitle: !noTitle)
    }
  }

  func validate() throws { try checkName(out, "--out") }

  func run() throws {
    let directories = try runs.map { try RunDirectory.open(at: $0) }
    let report = try Report(runs: directories, title: title, pooling: Set(group), select: select)
    // Before anything is written.
    _ = try report.figures(named: inPrint.figure)
    let page =
      out.map { URL(fileURLWithPath: $0) }
      ?? (directories.count == 1 ? directories[0].report : URL(fileURLWithPath: "report.html"))
    let hasPage = inPrint.figure.isEmpty || out != nil
    if hasPage { try report.write(to: page) }
    var pictures: [String] = []
    if !inPrint.formats.isEmpty {
      let folder =
        inPrint.figures.map { URL(fileURLWithPath: $0) }
        ?? page.deletingLastPathComponent().appendingPathComponent("figures")
      let chosen = try report.figures(named: inPrint.figure).map(try inPrint.look().applied)
      pictures = try Figure.export(chosen, to: folder, formats: inPrint.formats).map(\.path)
    }
    if json {
      try Console.json(Written(report: hasPage ? page.path : nil, figures: pictures))
    } else {
      Console.print(((hasPage ? [page.path] : []) + pictures).joined(separator: "\n"))
    }
  }

  struct Written: Encodable {
    let report: String?
    let figures: [String]
  }
}
