// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

/// What all pages of the dashboard have around them.
struct SiteFrame: Sendable {
  /// The parts of the dashboard.
  enum Part: String, CaseIterable, Sendable {
    case runs, studies, audits

    /// Its name in the navigation.
    var title: String { rawValue.prefix(1).uppercased() + rawValue.dropFirst() }
    /// The address of its list.
    var address: String { self == .runs ? "/" : "/" + rawValue }
  }

  /// What the pages link.
  let assets: PageFrame.Assets
  /// What the page of an audit links.
  let auditAssets: PageFrame.Assets
  /// How many things each part has.
  let counts: [Part: Int]

  /// A page.
  ///
  /// - Parameters:
  ///   - title: plain text.
  ///   - part: where it belongs.
  ///   - main: HTML.
  ///   - figures: the figures on it.
  ///   - runs: what they compare, with its colours.
  func page(
    _ title: String, in part: Part?, main: String, figures: [Figure] = [], runs: [(label: String, shade: Shade)] = []
  ) -> String {
    let body = "\(navigation(part))\n<main>\n\(main)\n</main>"
    return PageFrame.linked(title: title, body: body, figures: figures, runs: runs, assets: assets)
  }

  /// The page of an audit, which has a style, a script and a body of its own.
  ///
  /// - Parameters:
  ///   - title: plain text.
  ///   - body: HTML.
  func audit(_ title: String, body: String) -> String {
    PageFrame.linked(title: title, body: navigation(.audits) + "\n" + body, assets: auditAssets)
  }

  private func navigation(_ part: Part?) -> String {
    let links = Part.allCases.map { other in
      let current = other == part ? " aria-current=\"page\"" : ""
      let count = counts[other].map { " <span class=\"count\">\(Wording.integer($0))</span>" } ?? ""
      return "<a href=\"\(other.address)\"\(current)>\(other.title)\(count)</a>"
    }
    return """
      <nav class="site" aria-label="Dashboard"><span class="brand">Coherent Gradients</span>\
      \(links.joined())\(PageFrame.themeButton)</nav>
      """
  }

  /// A page that says what went wrong.
  ///
  /// - Parameters:
  ///   - title: plain text.
  ///   - sentence: what went wrong, and what to do.
  func problem(_ title: String, _ sentence: String) -> String {
    page(title, in: nil, main: "<h1>\(Wording.html(title))</h1>\n\(Self.notice(sentence))")
  }

  /// A sentence that stands out.
  static func notice(_ sentence: String) -> String {
    "<p class=\"notice\" role=\"alert\">\(Wording.html(sentence))</p>"
  }

  /// How far a run has come, as a word behind a coloured dot.
  static func status(_ row: RunRow) -> String {
    let status = row.status.rawValue
    return "<span class=\"status\"><i class=\"dot-mark \(status)\"></i>\(status)</span>"
  }

  /// A menu of links; nothing without any.
  static func menu(_ title: String, _ links: [String]) -> String {
    links.isEmpty
      ? "" : "<details class=\"files\"><summary>\(title)</summary><div>\(links.joined())</div></details>"
  }

  /// The path to something as two lines: where it lies, and its own name.
  static func name(_ path: String) -> String {
    let parts = path.split(separator: "/").map(String.init)
    let folder = parts.dropLast().joined(separator: "/")
    let above = folder.isEmpty ? "" : "<span class=\"above\">\(Wording.code(folder))/</span>"
    return "\(above)<span class=\"own\">\(Wording.code(parts.last ?? path))</span>"
  }

  /// Where something lies, above its name; nothing for what lies in the folder that is served.
  static func eyebrow(_ path: String) -> String {
    let folder = path.split(separator: "/").dropLast().joined(separator: " / ")
    return folder.isEmpty ? "" : "<p class=\"eyebrow\">\(Wording.code(folder))</p>"
  }

  /// A moment, such as `29 Nov 2026, 14:05`; the browser shows it in the reader's own time.
  static func time(_ date: Date) -> String {
    let text = date.formatted(Date.ISO8601FormatStyle())
    return "<time datetime=\"\(text)\">\(text.replacingOccurrences(of: "T", with: " ").prefix(16))</time>"
  }
}
