// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// The page of an audit of labels, from its directory alone: what was found, the suspects with their pictures, and keys
/// to decide about them.
public struct AuditPage: Sendable {
  /// Where the page of a server finds what a page in one file holds itself.
  public struct Addresses: Codable, Sendable, Equatable {
    /// Where decisions go.
    public struct Decisions: Codable, Sendable, Equatable {
      /// Answers GET with the decisions so far and takes new ones by POST.
      public var url: String
      /// What requests carry as `Authorization: Bearer`; nil where the browser's cookie is enough.
      public var token: String?

      /// An address with its token.
      ///
      /// - Parameters:
      ///   - url: answers GET with the decisions so far and takes new ones by POST.
      ///   - token: what requests carry as `Authorization: Bearer`.
      public init(url: String, token: String? = nil) { (self.url, self.token) = (url, token) }
    }

    /// What `data()` gives.
    public var data: String
    /// The folder of the sheets of small pictures, with a slash at its end.
    public var thumbnails: String
    /// Where decisions go.
    public var decisions: Decisions

    /// Addresses, absolute or relative to the page.
    ///
    /// - Parameters:
    ///   - data: what `data()` gives.
    ///   - thumbnails: the folder of the sheets of small pictures, with a slash at its end.
    ///   - decisions: where decisions go.
    public init(data: String, thumbnails: String, decisions: Decisions) {
      (self.data, self.thumbnails, self.decisions) = (data, thumbnails, decisions)
    }
  }

  /// How many bytes of pictures a page in one file holds at most, as they are embedded.
  static let pictureLimit = 10_000_000

  let directory: AuditDirectory
  let record: AuditRecord
  let suspects: [SuspectRecord]
  let thumbnails: AuditThumbnails?
  let neighbours: AuditNeighbours?
  let corrections: Corrections

  /// Reads an audit.
  ///
  /// - Parameter directory: the audit directory.
  /// - Throws: `RunStoreError` when one of its files is missing or damaged, naming file, line and column.
  public init(_ directory: AuditDirectory) throws {
    self.directory = directory
    record = try directory.record()
    suspects = try directory.suspects(of: record)
    thumbnails = try directory.thumbnails(of: record)
    neighbours = try directory.neighbours(of: record)
    corrections = try Corrections.read(
      directory.corrections, for: LabelledExamples(suspects, classes: record.classes))
  }

  /// The title of the page.
  public var title: String { "Labels of \(record.dataset)" }

  /// The page as one HTML file that needs no network: the pictures of the most suspect examples, as many as about 10 MB
  /// hold, are inside. What is decided stays in the browser until it is saved as a file.
  ///
  /// - Throws: `RunStoreError` when a sheet of pictures cannot be read; one that is missing leaves placeholders.
  public func html() throws -> String {
    let sheets = try Dictionary(uniqueKeysWithValues: embeddedSheets().map { ("\($0)", $1) })
    let parts = try Self.element("audit-data", data()) + Self.element("audit-sheets", Self.encoder.encode(sheets))
    return document(body: body + parts, connects: false)
  }

  /// Writes the page into the audit directory, all at once or not at all.
  ///
  /// - Returns: the file.
  /// - Throws: `RunStoreError` when a picture cannot be read or the page cannot be written.
  @discardableResult
  public func write() throws -> URL {
    try writeAtomically(Data(html().utf8), to: directory.page)
    return directory.page
  }

  /// The same page for a server: examples, pictures and decisions come by address.
  ///
  /// - Parameters:
  ///   - addresses: where they are.
  ///   - navigation: HTML at the top of the page.
  /// - Throws: an `EncodingError` never in practice: addresses can be encoded.
  public func served(at addresses: Addresses, navigation: String = "") throws -> String {
    document(navigation: navigation, body: try body(at: addresses), connects: true)
  }

  /// What is inside the page of a server, for one that has a frame of its own: the frame brings `style`, `script`, and
  /// the switch between light and dark.
  ///
  /// - Parameter addresses: where examples, pictures and decisions are.
  package func body(at addresses: Addresses) throws -> String {
    try body + Self.element("audit-settings", Self.encoder.encode(addresses))
  }

  /// The style of the page, beside that of all pages.
  package static var style: String {
    func rule(_ shade: KeyPath<Shade, String>) -> String {
      "{ --sound:\(Palette.pristine[keyPath: shade]); --suspect:\(Palette.corrupt[keyPath: shade]); }"
    }
    return """
      :root \(rule(\.light))
      :root[data-theme=dark] \(rule(\.dark))
      @media (prefers-color-scheme: dark) { :root:not([data-theme=light]) \(rule(\.dark)) }
      \(String(decoding: PackageResources.audit_css, as: UTF8.self))
      """
  }

  /// The script of the page, which runs at its end.
  package static var script: String {
    [
      PackageResources.audit_pictures_js, PackageResources.audit_decisions_js, PackageResources.audit_chooser_js,
      PackageResources.audit_threshold_js, PackageResources.audit_js,
    ].map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
  }

  private func document(navigation: String = "", body: String, connects: Bool) -> String {
    let whole = "\(navigation)\n<p class=\"corner\">\(PageFrame.themeButton)</p>\n<main>\n\(body)\n</main>"
    return PageFrame.document(
      title: title, body: whole, style: Self.style, script: Self.script, connects: connects)
  }

  /// The same data give the same page.
  static var encoder: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }

  /// JSON as an element of a page that a script reads.
  private static func element(_ id: String, _ json: Data) -> String {
    // Inside of strings alone is there any "<".
    let text = String(decoding: json, as: UTF8.self)
    let safe = json.contains(UInt8(ascii: "<")) ? text.replacingOccurrences(of: "<", with: "\\u003c") : text
    return "\n<script type=\"application/json\" id=\"\(id)\">\(safe)</script>"
  }
}
