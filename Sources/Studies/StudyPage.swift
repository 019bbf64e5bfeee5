// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// The page of a study: the question, what became of each claim, the figures, the runs behind them and the commands
/// that repeat them, as one HTML file that needs no network. Made from plain values.
///
/// It lies in the folder of the study: links go to `figures/ID.svg` (or what formats there are), `.csv` and to the folders of the cells.
public struct StudyPage: Sendable {
  /// What a study says about a claim.
  public enum Outcome: String, Sendable, CaseIterable {
    /// The runs support the claim.
    case held
    /// The runs contradict it.
    case didNotHold = "did not hold"
    /// What there is does not decide.
    case inconclusive
    /// What there is, is no test.
    case notTested = "not tested"
  }

  /// What a study says about one part of a claim.
  public struct Part: Sendable {
    /// The part: its short name and the sentence.
    public let claim, sentence: String
    /// What became of it.
    public let outcome: Outcome
    /// Why, in one sentence.
    public let explanation: String

    /// A part from its fields.
    public init(claim: String, sentence: String, outcome: Outcome, explanation: String) {
      (self.claim, self.sentence, self.outcome, self.explanation) = (claim, sentence, outcome, explanation)
    }
  }

  /// One claim on the score card.
  public struct Verdict: Sendable {
    /// The claim: its short name, the sentence, and the place in the paper.
    public let claim, sentence, source: String
    /// What became of it.
    public let outcome: Outcome
    /// Why, in one sentence.
    public let explanation: String
    /// What became of the parts of a claim that says several things.
    public let parts: [Part]
    /// How the claim is judged and was judged before, and what came of that.
    public let history: [String]
    /// The numbers behind it, each as it is to be read, such as `gap of sgd: 0.12 (0.11 to 0.13)`.
    public let numbers: [String]
    /// What was looked for and not found.
    public let missing: [String]
    /// What was trained.
    public let scale: String
    /// The cells behind it, by name.
    public let cells: [String]
    /// The figures to look at, by id.
    public let figures: [String]

    /// A verdict from its parts.
    public init(
      claim: String, sentence: String, source: String, outcome: Outcome, explanation: String, parts: [Part] = [],
      history: [String] = [], numbers: [String] = [],
      missing: [String] = [], scale: String = "", cells: [String] = [], figures: [String] = []
    ) {
      (self.parts, self.history) = (parts, history)
      (self.claim, self.sentence, self.source, self.outcome) = (claim, sentence, source, outcome)
      (self.explanation, self.numbers, self.missing, self.scale) = (explanation, numbers, missing, scale)
      (self.cells, self.figures) = (cells, figures)
    }
  }

  /// One run or computation of the study.
  public struct Cell: Sendable {
    /// Its name, and what it is.
    public let name, purpose: String
    /// How far it has come, such as `completed`.
    public let status: String
    /// Optimizer steps done; nil for a computation without training.
    public let steps: Int?
    /// Accuracies at the end, from 0 to 1.
    public let trainAccuracy, testAccuracy: Double?
    /// Seconds it took.
    public let seconds: Double?
    /// Its folder or file, relative to the page, such as `runs/sgd-1`; nil before it started.
    public let path: String?
    /// Its own report, relative to the page; nil without one.
    public let report: String?
    /// The command that repeats it.
    public let command: [String]

    /// A cell from its parts.
    public init(
      name: String, purpose: String = "", status: String, steps: Int? = nil, trainAccuracy: Double? = nil,
      testAccuracy: Double? = nil, seconds: Double? = nil, path: String? = nil, report: String? = nil,
      command: [String]
    ) {
      (self.name, self.purpose, self.status, self.steps) = (name, purpose, status, steps)
      (self.trainAccuracy, self.testAccuracy, self.seconds) = (trainAccuracy, testAccuracy, seconds)
      (self.path, self.report, self.command) = (path, report, command)
    }
  }

  /// A fact about machine and program.
  public struct Fact: Sendable {
    /// What, and its value.
    public let name, value: String

    /// A fact from its parts.
    public init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
  }

  /// The study's name for commands, such as `cg/winsorized`, its title, and what it asks.
  public let id, title, question: String
  /// The paper, and where in it.
  public let paper, section: String
  /// The profile run, and how it compares with the paper's scale.
  public let profile, scale: String
  /// The score card.
  public let verdicts: [Verdict]
  /// The figures.
  public let figures: [Figure]
  /// The runs and computations.
  public let cells: [Cell]
  /// Machine and program.
  public let machine: [Fact]
  /// The command that repeats the whole study.
  public let command: [String]
  /// The formats that the figures lie in beside the page, in `figures/`.
  public let formats: [FigureFormat]

  /// A page from its parts.
  public init(
    id: String, title: String, question: String, paper: String, section: String, profile: String, scale: String,
    verdicts: [Verdict], figures: [Figure], cells: [Cell], machine: [Fact], command: [String],
    formats: [FigureFormat] = [.svg]
  ) {
    (self.id, self.title, self.question) = (id, title, question)
    (self.paper, self.section, self.profile, self.scale) = (paper, section, profile, scale)
    (self.verdicts, self.figures, self.cells) = (verdicts, figures.filter { !$0.isComposite }, cells)
    (self.machine, self.command, self.formats) = (machine, command, formats)
  }

  /// The page as HTML with the JavaScript bundle inside.
  ///
  /// - Parameter bundle: The file that `make setup` leaves at `.deps/vega/vega-bundle.js`.
  /// - Throws: `ReportError` when the bundle cannot be read.
  public func html(bundle: URL) throws -> String {
    try PageFrame.document(
      title: title, body: body, figures: figures,
      runs: unique(figures.flatMap(\.series)).map { ($0, Palette.neutral) }, bundle: bundle)
  }

  /// Writes the page, all at once or not at all.
  ///
  /// - Parameters:
  ///   - url: The HTML file, in the folder of the study.
  ///   - bundle: The JavaScript bundle; found with `ChartAssets.locate()` when not given.
  /// - Throws: `ReportError` when the bundle is missing, `RunStoreError` when the file cannot be written.
  public func write(to url: URL, bundle: URL? = nil) throws {
    let page = try html(bundle: bundle ?? ChartAssets.locate().bundle)
    try writeAtomically(Data(page.utf8), to: url)
  }

  /// The tally of the score card, such as `3 held, 1 did not hold`.
  public var tally: String {
    let parts = Outcome.allCases.compactMap { outcome -> String? in
      let count = verdicts.count { $0.outcome == outcome }
      return count > 0 ? "\(count) \(outcome.rawValue)" : nil
    }
    return parts.isEmpty ? "No verdict yet" : parts.joined(separator: ", ")
  }
}
