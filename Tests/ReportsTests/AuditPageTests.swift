// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Charts
@testable import Reports

@Suite struct AuditPageTests {
  private func page(_ scratch: Scratch, _ audit: SyntheticAudit = SyntheticAudit()) throws -> AuditPage {
    try AuditPage(audit.write(to: scratch))
  }

  /// What a script finds in one of the page's elements of data.
  private func element(_ id: String, of page: String) throws -> [String: Any] {
    let start = try #require(page.range(of: "<script type=\"application/json\" id=\"\(id)\">"))
    let end = try #require(page.range(of: "</script>", range: start.upperBound..<page.endIndex))
    let text = page[start.upperBound..<end.lowerBound]
    return try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  @Test func needsNoNetwork() throws {
    let scratch = try Scratch()
    let page = try page(scratch)
    let html = try page.html()
    for forbidden in ["http://", "https://", "//cdn", "@import", "src=\"", "<link", "connect-src", "unsafe-eval"] {
      #expect(!html.contains(forbidden), "\(forbidden) in the page")
    }
    #expect(html.contains("Labels of small &lt;set&gt;") && !html.contains("<set>"))
    // Names from the data end no element: two of data and three of script.
    #expect(html.components(separatedBy: "</script>").count == 6)
    #expect(!html.contains("<script>alert") && !html.contains("<i>Ü"))
    #expect(try page.write() == page.directory.page)
    #expect(try String(contentsOf: page.directory.page, encoding: .utf8) == html)
  }

  @Test func holdsWhatWasFound() throws {
    let scratch = try Scratch()
    let html = try page(scratch).html()
    #expect(html.contains("3 of 9 labels are suspect (33.3\u{A0}%)."))
    #expect(html.contains("12\u{202F}345<small>between 11\u{202F}000 and 14\u{202F}000. By &lt;eye&gt;."))
    #expect(html.contains("Margin &lt;b&gt;") && html.contains("a &lt; b") && html.contains("Someone 2020, §3"))
    #expect(html.contains("at step 12\u{202F}000") && html.contains("data-given=\"2\" data-suggested=\"0\""))
    #expect(html.contains("The same picture with different labels"))
  }

  /// The data of the script against the audit's own records.
  @Test func dataAreThoseOfTheAudit() throws {
    let scratch = try Scratch()
    let audit = SyntheticAudit()
    let directory = try audit.write(to: scratch)
    let log = CorrectionLog(directory.corrections, for: try directory.labels())
    _ = try log.append(index: 5, decision: .relabel, label: "cat", previous: 0)
    let page = try AuditPage(directory)
    let data = try element("audit-data", of: page.html())
    #expect(try NSDictionary(dictionary: data) == JSONSerialization.jsonObject(with: page.data()) as? NSDictionary)
    #expect(data["classes"] as? [String] == audit.classes && data["count"] as? Int == 9 && data["flagged"] as? Int == 3)
    let rows = try #require(data["rows"] as? [String: Any])
    for (place, suspect) in audit.suspects.enumerated() {
      #expect((rows["index"] as? [Int])?[place] == suspect.index)
      #expect((rows["given"] as? [Int])?[place] == suspect.given)
      #expect((rows["suggested"] as? [Int])?[place] == suspect.suggested)
      #expect((rows["files"] as? [Any])?[place] as? String == suspect.file)
      #expect(abs(((rows["suspicion"] as? [Double])?[place] ?? .nan) - suspect.suspicion) < 1e-5)
      for (score, value) in suspect.scores.enumerated() {
        let written = (rows["scores"] as? [[Any]])?[score][place] as? Double
        #expect((written == nil) == (value == nil) && abs((written ?? 0) - (value ?? 0)) < 1e-4)
      }
    }
    #expect(data["precision"] as? [[Double]] == [[1, 0.9], [9, 0.4]])
    let near = try #require((data["neighbours"] as? [String: Any])?["examples"] as? [String: [String: [[Any]]]])
    #expect(near["7"]?["helpers"]?[0][1] as? Int == 1 && near["7"]?["helpers"]?[0][2] is NSNull)
    #expect(near["7"]?["opponents"]?[0] as? [Double] == [3, 0, -0.5, -2])
    let decisions = try #require(data["decisions"] as? [String: [String: Any]])
    #expect(decisions["5"]?["decision"] as? String == "relabel" && decisions["5"]?["revision"] as? Int == 2)
    #expect((data["key"] as? String)?.hasPrefix("small <set> 2023-11-14T22:13:20") == true)
  }

  /// Pictures come in the order in which they are looked at, and no more than there is room for.
  @Test func picturesAreLimited() throws {
    let scratch = try Scratch()
    let page = try page(scratch)
    // Sheets: 0 has 8 and 7, 1 has 6 and 5, 2 has 0 and 1, a neighbour of 7.
    let all = try page.embeddedSheets()
    #expect(all.map(\.number) == [0, 2, 1])
    #expect(all.map { Data(base64Encoded: $0.base64) } == [0, 2, 1].map(SyntheticAudit.sheet))
    let size = all[0].base64.utf8.count
    #expect(try page.embeddedSheets(limit: 3 * size).count == 3)
    #expect(try page.embeddedSheets(limit: 3 * size - 1).map(\.number) == [0, 2])
    #expect(try page.embeddedSheets(limit: size - 1).isEmpty)
    let sheets = try element("audit-sheets", of: page.html())
    #expect(Set(sheets.keys) == ["0", "1", "2"] && sheets["1"] as? String == all[2].base64)
    // A sheet that vanished leaves placeholders.
    try FileManager.default.removeItem(at: page.directory.sheet(0))
    #expect(try page.embeddedSheets().map(\.number) == [2, 1])
  }

  @Test func servedByAddress() throws {
    let scratch = try Scratch()
    let page = try page(scratch)
    let addresses = AuditPage.Addresses(
      data: "/a/data.json", thumbnails: "/a/thumbnails/", decisions: .init(url: "/a/decisions", token: "</script>"))
    let html = try page.served(at: addresses, navigation: "<nav>above</nav>")
    #expect(html.contains("<nav>above</nav>") && html.contains("connect-src 'self'"))
    #expect(!html.contains("audit-sheets\">") && !html.contains("audit-data\">"))
    #expect(html.components(separatedBy: "</script>").count == 5)
    let settings = try element("audit-settings", of: html)
    #expect(settings["data"] as? String == "/a/data.json" && settings["thumbnails"] as? String == "/a/thumbnails/")
    #expect((settings["decisions"] as? [String: String]) == ["url": "/a/decisions", "token": "</script>"])
    #expect(html.utf8.count < 100_000)
  }

  @Test func withoutWhatIsOptional() throws {
    let scratch = try Scratch()
    let page = try page(scratch, SyntheticAudit(hasOptionalParts: false))
    let html = try page.html()
    #expect(html.contains("It could not be estimated for this audit."))
    for absent in ["Classes that are confused</h2>", "id=\"duplicates\"", "at step"] {
      #expect(!html.contains(absent), "\(absent)")
    }
    #expect(try element("audit-sheets", of: html).isEmpty)
    let data = try element("audit-data", of: html)
    #expect(data["neighbours"] == nil && data["pictures"] == nil)
  }

  /// Every element that the script asks for is on the page, and no id twice.
  @Test func scriptAndPageAgree() throws {
    let scratch = try Scratch()
    let body = try page(scratch).body
    let ids = body.matches(of: /\sid="([^"]+)"/).map { String($0.output.1) }
    #expect(Set(ids).count == ids.count)
    let wanted = Set(AuditPage.script.matches(of: /\$\("([^"]+)"\)/).map { String($0.output.1) })
    #expect(wanted.count > 30)
    #expect(wanted.subtracting(ids).isEmpty, "\(wanted.subtracting(ids))")
  }

  /// A damaged file is named, with the line, before a page is made of it.
  @Test func damagedAudits() throws {
    let scratch = try Scratch()
    let directory = try SyntheticAudit().write(to: scratch)
    func failure() -> String {
      do { _ = try AuditPage(directory) } catch { return "\(error)" }
      return ""
    }
    try scratch.write(
      "index,file,given,decision,label,time\n8,,\"a, \"\"b\"\" & <i>Ü鳥</i>\",relable,cat,\n", "audit/corrections.csv")
    #expect(failure().contains("corrections.csv:2: column decision holds \"relable\""))
    try FileManager.default.removeItem(at: directory.corrections)
    #expect(failure() == "")
    try scratch.write("{}", "audit/neighbours.json")
    #expect(failure().contains("neighbours.json cannot be read: step is missing"))
    try scratch.write("{\"side\": 64", "audit/thumbnails.json")
    #expect(failure().contains("thumbnails.json cannot be read"))
  }
}
