// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Reports
import RunStore

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Draw one or more runs: an HTML page that works offline, and figures for print.")

  @Argument(help: "The run directories; several are overlaid.")
  var runs: [String]

  @Option(help: "The HTML file to write. (default: report.html in the run, or here for several)")
  var out: String?

  @Option(help: "The page's title.")
  var title: String?

  @Flag(help: "Also write every figure as SVG.")
  var svg = false
  @Flag(help: "Also write every figure as PNG.")
  var png = false
  @Flag(help: "Also write every figure as PDF.")
  var pdf = false

  @Option(help: "The folder for figures. (default: figures beside the page)")
  var figures: String?

  @Flag(help: "Print what was written as JSON.")
  var json = false

  func run() throws {
    let directories = try runs.map { try RunDirectory.open(at: $0) }
    let report = try Report(runs: directories, title: title)
    let page =
      out.map { URL(fileURLWithPath: $0) }
      ?? (directories.count == 1 ? directories[0].report : URL(fileURLWithPath: "report.html"))
    try report.write(to: page)
    var formats: [FigureFormat] = []
    if svg { formats.append(.svg) }
    if png { formats.append(.png) }
    if pdf { formats.append(.pdf) }
    var pictures: [String] = []
    if !formats.isEmpty {
      let folder =
        figures.map { URL(fileURLWithPath: $0) }
        ?? page.deletingLastPathComponent().appendingPathComponent("figures")
      pictures = try report.exportFigures(to: folder, formats: formats).map(\.path)
    }
    if json {
      try Console.json(Written(report: page.path, figures: pictures))
    } else {
      print(([page.path] + pictures).joined(separator: "\n"))
    }
  }

  struct Written: Encodable {
    let report: String
    let figures: [String]
  }
}
