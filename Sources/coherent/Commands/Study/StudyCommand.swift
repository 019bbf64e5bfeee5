// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Studies
import Runs
import Training

extension StudyProfile: ExpressibleByArgument {}

struct StudyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "study",
    abstract: "The experiments of the papers, one command each, and what they say about the papers' claims.",
    discussion: papers + """


      Example: coherent study run cg/winsorized --profile small --data-dir data --out studies/winsorized
      """,
    subcommands: [
      List.self, Info.self, Run.self, ReportResults.self, Card.self, Judge.self, RuleList.self, CellCommand.self,
    ])

  /// The papers, each with the beginning of its studies' names.
  private static let papers = StudyCatalog.papers.filter { !$0.isOwn }.map { "\($0.prefix)/...: \($0.title)." }
    .joined(separator: "\n")

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List the studies by paper, with the claims they test.")
    @Flag(help: "Print as JSON.") var json = false

    private struct Entry: Encodable {
      let id, title, question, paper, section: String
      let claims: [String]
      let profiles: [String: String]

      init(_ study: Study) {
        (id, title, question) = (study.id, study.title, study.question)
        (paper, section, claims) = (study.paper, study.section, study.claims)
        profiles = Dictionary(study.scales.map { ($0.key.rawValue, $0.value) }, uniquingKeysWith: { first, _ in first })
      }
    }

    func run() throws {
      if json { return try Console.json(StudyCatalog.all.map(Entry.init)) }
      for paper in StudyCatalog.papers {
        Console.print(Console.wrapped(paper.title, indent: 2))
        for study in StudyCatalog.all where study.paper == paper.title {
          let claims = study.claims.joined(separator: ", ")
          Console.print(Console.wrapped("\(study.title) (\(claims))", after: "  \(study.id)   ", indent: 6))
          Console.print(Console.wrapped(study.question, after: "      ", indent: 6))
        }
        Console.print("")
      }
      Console.print("Sizes and cells: coherent study info ID; profiles: smoke, small, paper.")
    }
  }

  struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Describe a study and the cells of its grid.")
    @Argument(help: "The study, such as cg/winsorized.") var id: String
    @Option(help: "How large: smoke (seconds, built-in data), small (minutes to two hours) or paper.")
    var profile = StudyProfile.small

    func run() throws {
      let study = try StudyCatalog.study(id)
      Console.print("\(study.id): \(study.title)")
      Console.print(Console.wrapped(study.question))
      Console.print(Console.wrapped("\(study.paper), \(study.section)") + "\n")
      for profile in StudyProfile.allCases {
        Console.print(Console.wrapped(study.scales[profile] ?? "", after: "\(profile.rawValue): ", indent: 4))
      }
      let cells = try study.cells(StudySettings(study: study.id, profile: profile), in: StudyFolder("FOLDER"))
      Console.print("\nCells of the profile \(profile.rawValue):")
      Console.print(
        Console.table(
          cells.map { cell in
            [cell.name, cell.title, cell.needs.isEmpty ? "" : "after \(cell.needs.joined(separator: ", "))"]
          }))
      Console.print("\nClaims:")
      for claim in ScoreCard.claims where study.claims.contains(claim.id) {
        Console.print(Console.wrapped(claim.sentence, after: "\(claim.id)  ", indent: 4))
      }
    }
  }

  struct ReportResults: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "report", abstract: "Judge a study's results again and write its page, figures and score card.")
    @Argument(help: "The study's folder.") var folder: String
    @Flag(help: "Also write the figures as PNG.") var png = false
    @Option(
      help:
        "Also export what is worth keeping to this folder: score card, figures (SVG, CSV), configurations and machine, without local paths."
    )
    var export: String?
    @Flag(help: "Print the score card as JSON.") var json = false

    func run() throws {
      try checkName(folder, "The study's folder")
      try checkName(export, "--export")
      let folder = StudyFolder(folder)
      let results = try StudyResults(folder)
      try results.write(to: folder)
      let report = try StudyReport(folder, results)
      let page = try report.write(formats: [.svg, .pdf] + (png ? [.png] : []))
      if let export { try report.export(to: export) }
      if json { return try Console.json(results) }
      Console.print(results.text)
      Console.print("\nReport: \(page.path)")
    }
  }

  struct Card: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The score card of several studies: every claim of the papers, with or without data.",
      discussion: "Example: coherent study card studies/*")
    @Argument(help: "The folders of studies, or exports of them.") var folders: [String]
    @Flag(help: "Print as JSON.") var json = false
    @Flag(help: "Print as a table in Markdown.") var markdown = false

    func validate() throws {
      guard !(json && markdown) else { throw ValidationError("Choose one of --json and --markdown.") }
      for folder in folders { try checkName(folder, "A study's folder") }
    }

    func run() throws {
      let card = try StudyCard(folders.map { StudyFolder($0) })
      if json { return try Console.json(card) }
      Console.print(markdown ? card.markdown : card.text)
    }
  }

  struct RuleList: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "rules",
      abstract: "How each claim is judged, how it was judged before, why that changed, and what came of it.",
      discussion: "Example: coherent study rules --claims WS-2,WS-3")
    @Option(help: "Only these claims, such as MC-2,CG-6.") var claims: String?
    @Flag(help: "Print as JSON.") var json = false
    @Flag(help: "Print in Markdown.") var markdown = false

    func validate() throws {
      guard !(json && markdown) else { throw ValidationError("Choose one of --json and --markdown.") }
      _ = try claims.map(Judge.claimNames)
    }

    func run() throws {
      let entries = try RuleBook.entries(claims.map(Judge.claimNames))
      if json { return try Console.json(entries) }
      Console.print(markdown ? RuleBook.markdown(entries) : RuleBook.text(entries))
    }
  }

  /// One cell without training, in a process of its own.
  struct CellCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "cell", abstract: "Compute one cell of a study that is not a training run.", shouldDisplay: false)
    @Argument var name: String
    @Option var out: String

    func run() throws {
      Self.endWithParent()
      try StudyFolder(out).compute(cell: name, tool: Coherent.tool)
    }

    /// A computation has nothing to keep before its end: it ends with the grid that started it.
    private static func endWithParent() {
      Thread.detachNewThread {
        guard let parent = ParentProcessMonitor() else { return }
        while !parent.isGone { sleep(1) }
        Foundation.exit(130)
      }
    }
  }
}
