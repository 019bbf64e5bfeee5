// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What every page of figures is made of: one file that needs no network, cards of figures, and what the script needs.
package enum PageFrame {
  /// The whole page.
  ///
  /// - Parameters:
  ///   - title: Plain text.
  ///   - body: HTML, with a card for each of the figures.
  ///   - figures: The figures on it.
  ///   - runs: What the figures compare, with its colours, where the reader can hide some of it.
  ///   - bundle: The JavaScript bundle.
  /// - Throws: `ChartError` when the bundle cannot be read.
  package static func document(
    title: String, body: String, figures: [Figure], runs: [(label: String, shade: Shade)], bundle: URL
  ) throws -> String {
    document(
      title: title, body: body, style: "", connects: false, scriptSource: "'unsafe-inline' 'unsafe-eval'",
      scripts: [
        escaped(try ChartAssets.script(at: bundle)), "const REPORT = \(payload(of: figures, runs: runs).text);", script,
      ])
  }

  /// A page without figures, with a style and a script of its own.
  ///
  /// - Parameters:
  ///   - title: Plain text.
  ///   - body: HTML.
  ///   - style: What it needs beside the style of all pages.
  ///   - script: What runs at its end; it is trusted.
  ///   - connects: Whether it may ask the server that it comes from, for data and pictures.
  package static func document(
    title: String, body: String, style: String, script own: String, connects: Bool
  ) -> String {
    document(
      title: title, body: body, style: "\n" + style, connects: connects, scriptSource: "'unsafe-inline'",
      scripts: ["const REPORT = \(payload(of: [], runs: []).text);", script, escaped(own)])
  }

  /// A page of words and pictures alone, without scripts.
  ///
  /// - Parameters:
  ///   - title: Plain text.
  ///   - body: HTML.
  package static func document(title: String, body: String) -> String {
    document(title: title, body: body, style: "", connects: false, scriptSource: "'none'", scripts: [])
  }

  static var script: String { String(decoding: PackageResources.page_js, as: UTF8.self) }

  private static func document(
    title: String, body: String, style: String, connects: Bool, scriptSource: String, scripts: [String]
  ) -> String {
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src \(scriptSource); \
      script-src-attr 'none'; style-src 'unsafe-inline'; img-src\(connects ? " 'self'" : "") data: blob:\(connects ? "; connect-src 'self'" : "")">
      <title>\(Wording.html(title)) · Coherent Gradients</title>
      <style>\(String(decoding: PackageResources.page_css, as: UTF8.self))\(style)</style>
      </head>
      <body>
      \(body)
      \(scripts.map { "<script>\($0)</script>" }.joined(separator: "\n"))
      </body>
      </html>

      """
  }

  /// Script text that cannot end its element early.
  static func escaped(_ script: String) -> String {
    script.replacingOccurrences(of: "</script", with: "<\\/script", options: .caseInsensitive)
      .replacingOccurrences(of: "<!--", with: "<\\!--")
  }

  package static let themeButton =
    "<button type=\"button\" id=\"theme\" title=\"Switch between light and dark\">light / dark</button>"

  /// What leads back from a zoom, and says that there is one.
  package static let zoomButton = """
    <span class="hint">drag over a plot to zoom</span>\
    <button type="button" id="unzoom" title="Show the whole axes again; so does a double click" hidden>reset zoom</button>
    """

  /// A figure with its caption and the buttons that save it.
  ///
  /// - Parameter more: HTML at the end of the caption.
  private static func card(for figure: Figure, more: String = "") -> String {
    let kind = figure.isPageWide ? " class=\"page\"" : ""
    return """
      <figure id="\(Wording.html(figure.id))"\(kind)>
      <div class="chart" role="img" aria-label="\(Wording.html(figure.title + ". " + figure.caption))"></div>
      <figcaption>\(Wording.html(figure.caption))\
       <span class="save"><button type="button" data-save="svg">SVG</button>\
      <button type="button" data-save="png">PNG</button></span>\(more)</figcaption>
      </figure>
      """
  }

  /// Figures under the headings of their sections.
  package static func sections(of figures: [Figure], more: (Figure) -> String = { _ in "" }) -> String {
    unique(figures.map(\.section)).map { name in
      let cards = figures.filter { $0.section == name }.map { card(for: $0, more: more($0)) }.joined(separator: "\n")
      return "<section><h2>\(Wording.html(name))</h2><div class=\"grid\">\(cards)</div></section>"
    }.joined(separator: "\n")
  }

  /// What the script needs: the charts without data, the data packed, and the looks. The colours of the runs come first.
  static func payload(of figures: [Figure], runs: [(label: String, shade: Shade)]) -> JSON {
    let groups = [Palette.pristine, Palette.corrupt, Palette.test, Palette.neutral]
    let shades = runs.map(\.shade) + groups + figures.flatMap(\.shades)
    return .object([
      "runs": .strings(runs.map(\.label)), "shades": .array(shades.map { .strings([$0.light, $0.dark]) }),
      "light": ChartStyle.lightConfig, "dark": ChartStyle.darkConfig,
      "figures": .array(
        figures.map { figure in
          .object([
            "id": .string(figure.id), "chart": figure.chart,
            "data": .object(figure.data.map { JSON.Member(key: $0.name, value: $0.compact) }),
          ])
        }),
    ])
  }
}

extension Figure {
  /// Whether it takes the width of a page: more than one panel side by side.
  var isPageWide: Bool { if case .number(let columns)? = chart["columns"] { columns > 1 } else { false } }
}
