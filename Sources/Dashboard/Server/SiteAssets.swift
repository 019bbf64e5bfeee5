// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import Reports
import Synchronization

/// The scripts and style sheets that pages link. Their addresses carry a hash of their content, so that a browser keeps
/// them for good and still gets new ones from another version of the program.
struct SiteAssets: Sendable {
  /// A file that is linked.
  struct File: Sendable {
    let type: String
    let bytes: [UInt8]
  }

  /// The files by their names in addresses.
  let files: [String: File]
  /// Their addresses.
  let links: PageFrame.Assets
  /// Those of the page of an audit.
  let auditLinks: PageFrame.Assets

  /// The assets of all pages.
  ///
  /// - Parameter bundle: the JavaScript bundle that draws.
  /// - Throws: `ChartError` when the bundle cannot be read.
  init(bundle: URL) throws {
    let (css, javaScript) = ("text/css; charset=utf-8", "text/javascript; charset=utf-8")
    var files: [String: File] = [:]
    func link(_ name: String, _ kind: String, _ type: String, _ text: String) -> String {
      let file = "\(name)-\(FolderIndex.id(text)).\(kind)"
      files[file] = File(type: type, bytes: Array(text.utf8))
      return "/assets/" + file
    }
    links = PageFrame.Assets(
      styles: [
        link("page", "css", css, PageFrame.style),
        link("dashboard", "css", css, String(decoding: PackageResources.dashboard_css, as: UTF8.self)),
      ],
      drawing: link("vega", "js", javaScript, try PageFrame.drawingScript(at: bundle)),
      scripts: [
        link("page", "js", javaScript, PageFrame.linkedScript),
        link("dashboard", "js", javaScript, String(decoding: PackageResources.dashboard_js, as: UTF8.self)),
      ])
    auditLinks = links.adding(
      styles: [link("audit", "css", css, AuditPage.style)], scripts: [link("audit", "js", javaScript, AuditPage.script)]
    )
    self.files = files
  }
}

/// The port that the server listens on: known once it does.
final class PortNumber: Sendable {
  private let number = Atomic<Int>(0)

  /// The port; 0 before there is one.
  var value: Int { number.load(ordering: .relaxed) }

  /// Notes the port.
  func set(_ port: Int) { number.store(port, ordering: .relaxed) }
}
