// SPDX-License-Identifier: Apache-2.0

import Foundation

extension PageFrame {
  /// The addresses of what the pages of a server have in common, which a browser reads once.
  package struct Assets: Sendable {
    /// Style sheets, in order.
    let styles: [String]
    /// The script that draws, for pages with figures.
    let drawing: String
    /// Scripts, in order, of every page.
    let scripts: [String]

    /// Addresses from their parts.
    ///
    /// - Parameters:
    ///   - styles: style sheets, in order.
    ///   - drawing: the JavaScript bundle, which only pages with figures link.
    ///   - scripts: the other scripts, in order.
    package init(styles: [String], drawing: String, scripts: [String]) {
      (self.styles, self.drawing, self.scripts) = (styles, drawing, scripts)
    }

    /// The same with more style sheets and scripts behind them.
    ///
    /// - Parameters:
    ///   - styles: more style sheets.
    ///   - scripts: more scripts.
    package func adding(styles: [String], scripts: [String]) -> Assets {
      Assets(styles: self.styles + styles, drawing: drawing, scripts: self.scripts + scripts)
    }
  }

  /// The style of a page.
  package static var style: String { String(decoding: PackageResources.page_css, as: UTF8.self) }

  /// The script of a page that links it: it finds the figures in the page.
  package static var linkedScript: String {
    "const REPORT = JSON.parse(document.getElementById(\"report\").textContent);\n"
      + script
  }

  /// The JavaScript bundle that draws.
  ///
  /// - Parameter bundle: the file.
  /// - Throws: `ChartError` when it cannot be read.
  package static func drawingScript(at bundle: URL) throws -> String { try ChartAssets.script(at: bundle) }

  /// What the script needs of figures, as JSON that is safe inside an HTML element.
  ///
  /// - Parameters:
  ///   - figures: The figures.
  ///   - runs: What they compare, with its colours, where the reader can hide some of it.
  package static func report(of figures: [Figure], runs: [(label: String, shade: Shade)] = []) -> String {
    payload(of: figures, runs: runs).text
  }

  /// A page of a server, whose script and style are linked.
  ///
  /// - Parameters:
  ///   - title: Plain text.
  ///   - body: HTML, with a card for each of the figures.
  ///   - figures: The figures on it.
  ///   - runs: What the figures compare, with its colours, where the reader can hide some of it.
  ///   - assets: What it links.
  package static func linked(
    title: String, body: String, figures: [Figure] = [], runs: [(label: String, shade: Shade)] = [], assets: Assets
  ) -> String {
    let styles = assets.styles.map { "<link rel=\"stylesheet\" href=\"\(Wording.code($0))\">" }
    let scripts = ((figures.isEmpty ? [] : [assets.drawing]) + assets.scripts).map {
      "<script src=\"\(Wording.code($0))\"></script>"
    }
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <title>\(Wording.html(title)) · Coherent Gradients</title>
      <link rel="icon" href="data:,">
      \(styles.joined(separator: "\n"))
      </head>
      <body>
      \(body)
      <script type="application/json" id="report">\(report(of: figures, runs: runs))</script>
      \(scripts.joined(separator: "\n"))
      </body>
      </html>

      """
  }
}
