// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// The list of audits.
struct AuditList {
  /// What there is.
  let snapshot: FolderIndex.Snapshot
  /// Opens an audit.
  let open: (FolderIndex.Entry) throws -> OpenAudit

  /// The page.
  ///
  /// - Parameter frame: what is around it.
  func html(in frame: SiteFrame) -> String {
    let audits = snapshot.entries(.audit)
    guard !audits.isEmpty else {
      return frame.page(
        "Audits", in: .audits,
        main: """
          <h1>Audits</h1>
          <div class="empty"><p>No audit of labels was found in the folders that are served.</p>
          <p>One is made with <code>coherent audit --dataset folder --data-dir pictures --out audit</code></p></div>
          """)
    }
    return frame.page(
      "Audits", in: .audits,
      main: "<h1>Audits</h1>\n<div class=\"tiles-grid\">\(audits.map(card).joined(separator: "\n"))</div>")
  }

  private func card(_ entry: FolderIndex.Entry) -> String {
    let content: String
    do {
      content = try summary(entry)
    } catch {
      content =
        "<strong>\(Wording.code(entry.url.lastPathComponent))</strong>"
        + "<span class=\"problem\">\(Wording.html("\(error)"))</span>"
    }
    return """
      <a class="tile" href="/audit/\(entry.id)"><span class="above">\(Wording.code(entry.name))</span>
      \(content)</a>
      """
  }

  private func summary(_ entry: FolderIndex.Entry) throws -> String {
    let record = try AuditDirectory.open(at: entry.url.path).record()
    let hasDecisions = FileStamp(of: entry.url.appendingPathComponent("corrections.csv")) != nil
    let decided = hasDecisions ? try open(entry).log.corrections().decided.count : 0
    let estimate = record.estimate.map { " · about \(Wording.integer($0.errors)) wrong" } ?? ""
    return """
      <strong>\(Wording.html("Labels of \(record.dataset)"))</strong>
      <span>\(Wording.integer(record.flagged)) of \(Wording.integer(record.count)) flagged\(estimate)</span>
      <span class="quiet">\(Wording.integer(decided)) decided · \(SiteFrame.time(record.created))</span>
      """
  }
}
