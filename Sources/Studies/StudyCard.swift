// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The score card over several studies: every claim of the papers, those without data included.
public struct StudyCard: Sendable, Codable, Equatable {
  /// A claim, and what each study says about it.
  public struct Row: Sendable, Codable, Equatable {
    /// What one study says.
    public struct Entry: Sendable, Codable, Equatable {
      /// The study's name, profile and folder.
      public let study, profile, folder: String
      /// Its verdict.
      public let verdict: Verdict
    }

    /// The claim.
    public let claim: Claim
    /// The studies that speak about it.
    public let entries: [Entry]
  }

  /// The claims, in the order of the papers.
  public let rows: [Row]

  /// Judges the studies in these folders; of exports the score cards count that they kept.
  ///
  /// - Throws: as `StudyResults.init`.
  public init(_ folders: [StudyFolder]) throws {
    let all = try folders.flatMap { folder in
      let results = try StudyResults.kept(in: folder) ?? StudyResults(folder)
      return results.verdicts.map {
        Row.Entry(study: results.study, profile: results.profile, folder: folder.url.path, verdict: $0)
      }
    }
    rows = ScoreCard.claims.map { claim in Row(claim: claim, entries: all.filter { $0.verdict.claim.id == claim.id }) }
  }

  /// The card for people: one line for each claim and study.
  public var text: String {
    let lines = rows.flatMap { row -> [String] in
      let head = "\(row.claim.id)  \(row.claim.sentence)"
      guard !row.entries.isEmpty else { return [head, "    no data: \(Self.hint(row.claim.id))"] }
      return [head]
        + row.entries.map { entry in
          "    \(entry.verdict.outcome.rawValue) (\(entry.study), \(entry.profile)): \(entry.verdict.explanation)"
        }
    }
    let counts = Outcome.allCases.map { outcome in
      "\(rows.flatMap(\.entries).count { $0.verdict.outcome == outcome }) \(outcome.rawValue)"
    }
    let none = rows.count { $0.entries.isEmpty }
    return lines.joined(separator: "\n") + "\n\nVerdicts: " + counts.joined(separator: ", ")
      + "; of \(rows.count) claims \(none) without data"
  }

  /// The card as a table in Markdown, with links to the studies' folders by their last names.
  public var markdown: String {
    let lines = rows.map { row in
      // Several settings of one study, such as its networks, may say the same.
      var counts: [(text: String, count: Int)] = []
      for entry in row.entries {
        let name = URL(fileURLWithPath: entry.folder).lastPathComponent
        let text = "\(entry.verdict.outcome.rawValue) ([\(entry.study)](\(name)), \(entry.profile)"
        if counts.last?.text == text { counts[counts.count - 1].count += 1 } else { counts.append((text, 1)) }
      }
      let verdicts = counts.map { $0.text + ($0.count > 1 ? ", in each of \($0.count) settings)" : ")") }
      return
        "| \(row.claim.id) | \(row.claim.sentence) | \(verdicts.isEmpty ? "–" : verdicts.joined(separator: "; ")) |"
    }
    return (["| claim | says | verdict |", "|---|---|---|"] + lines).joined(separator: "\n")
  }

  private static func hint(_ claim: String) -> String {
    let studies = StudyCatalog.all.filter { $0.claims.contains(claim) }.map(\.id)
    return "coherent study run \(studies.first ?? "")"
  }
}
