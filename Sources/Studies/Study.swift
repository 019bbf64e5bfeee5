// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import Runs
import Training

/// How large a study is made.
public enum StudyProfile: String, Sendable, Codable, CaseIterable {
  /// Seconds, on the built-in digits: whether everything works.
  case smoke
  /// Minutes to an hour or two on two cores, on real data: whether the claims hold in small.
  case small
  /// The paper's own data, models and sizes.
  case paper
}

/// An experiment of the papers: a grid of cells, and the claims that its results are judged by.
public struct Study: Sendable {
  /// Paper and topic, such as `cg/winsorized`.
  public let id: String
  /// The title.
  public let title: String
  /// What it asks.
  public let question: String
  /// The paper.
  public let paper: String
  /// Where in the paper.
  public let section: String
  /// The claims it speaks about, such as `CG-8`.
  public let claims: [String]
  /// What it trains and on what, in a line for each profile.
  public let scales: [StudyProfile: String]
  /// Options that its grid depends on, so that `--set` cannot change them.
  var fixed: [String] = []
  /// Options that differ between its stages and that `--set` may all the same give to every cell alike.
  var overridable: Set<String> = []
  /// The rules of its claims and its figures, where they are not those of a paper.
  var rules: [any ClaimRule] = []
  var figures: (@Sendable (FigureSource) throws -> [Figure?])?
  /// The cells, for a request.
  let grid: @Sendable (GridRequest) -> [Cell]

  /// The cells of the grid, in the order in which they are run; a cell comes after those it needs.
  ///
  /// - Throws: `StudyError` when a setting does not fit; `TrainingError` for an override that no cell can have.
  public func cells(_ settings: StudySettings, in folder: StudyFolder) throws -> [Cell] {
    let cells = grid(GridRequest(settings: settings, folder: folder))
    return try settings.adapt(cells, of: self)
  }
}

/// One part of a grid: a training run, or a computation without training.
public struct Cell: Sendable {
  /// What a cell does.
  public enum Work: Sendable {
    /// A run with this configuration.
    case training(TrainingConfiguration)
    /// A computation whose numbers are kept as a measurement.
    case computation(Computation)
  }

  /// Its name, which is also that of its files: letters, digits, hyphens and dots.
  public let name: String
  /// What it is, in a few words.
  public let title: String
  /// What it does.
  public var work: Work
  /// The cells whose results it needs.
  public let needs: [String]
  /// Files that are made from those results before it starts.
  let inputs: [PreparedInput]
  /// The only claims that its run is about; nil for all that read it.
  var about: [String]?

  /// A training run.
  static func training(
    _ name: String, _ title: String, needs: [String] = [], inputs: [PreparedInput] = [],
    _ configuration: TrainingConfiguration
  ) -> Cell { Cell(name: name, title: title, work: .training(configuration), needs: needs, inputs: inputs) }

  /// The same about some claims alone.
  func about(_ claims: String...) -> Cell {
    var cell = self
    cell.about = claims
    return cell
  }

  /// A computation.
  static func computing(_ name: String, _ title: String, needs: [String] = [], _ computation: Computation) -> Cell {
    Cell(name: name, title: title, work: .computation(computation), needs: needs, inputs: [])
  }

  /// What is trained, in a run or to time its steps; nil where nothing is.
  var setting: TrainingConfiguration? {
    get { if case .computation(.stepCost(let setting, _, _)) = work { setting } else { configuration } }
    set {
      guard let newValue else { return }
      if case .computation(.stepCost(_, let rounds, let steps)) = work {
        work = .computation(.stepCost(newValue, rounds: rounds, stepsPerRound: steps))
      } else {
        work = .training(newValue)
      }
    }
  }

  /// The configuration of a training run; nil for a computation.
  public var configuration: TrainingConfiguration? {
    if case .training(let configuration) = work { configuration } else { nil }
  }
}

/// What a grid is made for.
struct GridRequest {
  let settings: StudySettings
  let folder: StudyFolder

  var profile: StudyProfile { settings.profile }

  /// The seeds wished for, or so many from a first one on: what seeds 1 to 3 gave suggested how claims are judged now, and
  /// a rule is not judged by the runs that it was made from.
  func seeds(_ count: Int, from first: UInt64 = 11) -> [UInt64] {
    settings.seeds ?? (profile == .smoke ? [1] : (0..<UInt64(max(1, count))).map { $0 + first })
  }

  /// The value for the profile.
  func by<Value>(smoke: Value, small: Value, paper: Value) -> Value {
    switch profile {
    case .smoke: smoke
    case .small: small
    case .paper: paper
    }
  }
}

/// How cells are named and described.
enum CellName {
  static func level(_ noise: Double) -> String { "noise-\(Wording.whole(noise * 100))" }

  /// The parts that matter, joined; a single seed goes without saying.
  static func make(_ parts: String..., seed: UInt64? = nil, of seeds: [UInt64] = []) -> String {
    let words = parts.filter { !$0.isEmpty } + (seeds.count > 1 ? seed.map { ["seed-\($0)"] } ?? [] : [])
    return words.joined(separator: "-").lowercased().map { character in
      character.isLetter || character.isNumber || "-.".contains(character) ? String(character) : "-"
    }.joined()
  }
}
