// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation

/// A page of pictures in strips, each with a word or two below it: an example and its neighbours. One file that needs
/// neither network nor scripts.
public struct PictureStripPage: Sendable {
  /// A picture with what is written below it.
  public struct Picture: Sendable {
    /// The bytes of a PNG file.
    public let png: Data
    /// What it shows: the alternative text too.
    public let title: String
    /// What stands below, a line each.
    public let lines: [String]

    /// A picture from its parts.
    ///
    /// - Parameters:
    ///   - png: the bytes of a PNG file.
    ///   - title: what it shows.
    ///   - lines: what stands below.
    public init(png: Data, title: String, lines: [String]) { (self.png, self.title, self.lines) = (png, title, lines) }
  }

  /// Pictures side by side.
  public struct Strip: Sendable {
    /// What they are, in a few words.
    public let name: String
    /// The pictures, from left to right.
    public let pictures: [Picture]

    /// A strip from its parts.
    ///
    /// - Parameters:
    ///   - name: what the pictures are.
    ///   - pictures: the pictures, from left to right.
    public init(name: String, pictures: [Picture]) { (self.name, self.pictures) = (name, pictures) }
  }

  /// Strips that belong together.
  public struct Section: Sendable {
    /// The heading.
    public let heading: String
    /// What is said about them, a paragraph each.
    public let notes: [String]
    /// The strips, from top to bottom.
    public let strips: [Strip]

    /// A section from its parts.
    ///
    /// - Parameters:
    ///   - heading: the heading.
    ///   - notes: what is said about the strips.
    ///   - strips: the strips, from top to bottom.
    public init(heading: String, notes: [String], strips: [Strip]) {
      (self.heading, self.notes, self.strips) = (heading, notes, strips)
    }
  }

  private let title: String
  private let lead: String
  private let side: Int
  private let sections: [Section]

  /// A page from its parts.
  ///
  /// - Parameters:
  ///   - title: plain text, as are all others.
  ///   - lead: what the page shows, in a sentence or two.
  ///   - side: height and width of a picture on the page, in pixels.
  ///   - sections: from top to bottom.
  public init(title: String, lead: String, side: Int, sections: [Section]) {
    (self.title, self.lead, self.side, self.sections) = (title, lead, side, sections)
  }

  /// The page.
  public var html: String {
    let body = """
      <style>
      .strip { display: flex; flex-wrap: wrap; gap: 10px; margin: 6px 0 14px; }
      .strip figure { padding: 6px; width: \(max(side, 84) + 14)px; }
      .strip img { display: block; width: \(side)px; height: \(side)px; margin: 0 auto; image-rendering: pixelated; }
      .strip figcaption { overflow-wrap: anywhere; text-align: center; font-size: 12px; }
      </style>
      <header><p class="eyebrow">Coherent Gradients · neighbours</p><h1>\(Wording.html(title))</h1>
      <p>\(Wording.html(lead))</p></header>
      <main>
      \(sections.map(Self.section).joined(separator: "\n"))
      </main>
      """
    return PageFrame.document(title: title, body: body)
  }

  private static func section(_ section: Section) -> String {
    let notes = section.notes.map { "<p class=\"quiet\">\(Wording.html($0))</p>" }.joined()
    let strips = section.strips.map { strip in
      let pictures = strip.pictures.map(figure).joined()
      return "<h3>\(Wording.html(strip.name))</h3><div class=\"strip\">"
        + (pictures.isEmpty ? "<p class=\"quiet\">none</p>" : pictures) + "</div>"
    }
    return "<section><h2>\(Wording.html(section.heading))</h2>\(notes)\(strips.joined(separator: "\n"))</section>"
  }

  private static func figure(_ picture: Picture) -> String {
    let source = "data:image/png;base64," + picture.png.base64EncodedString()
    return
      "<figure><img src=\"\(source)\" alt=\"\(Wording.html(picture.title))\" title=\"\(Wording.html(picture.title))\">"
      + "<figcaption>\(picture.lines.map(Wording.html).joined(separator: "<br>"))</figcaption></figure>"
  }
}
