// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import RunStore
import Runs
import Training
import Yams

/// What a study was asked to be: `study.yaml` in its folder. A folder holds the results of one such request.
public struct StudySettings: Codable, Sendable, Equatable {
  /// The study's name.
  public var study: String
  /// How large it is.
  public var profile: StudyProfile
  /// The folder with the data; not needed by built-in data.
  public var dataDir: String?
  /// The seeds; the study's own when nil.
  public var seeds: [UInt64]?
  /// Threads of each cell. Results depend on it in their last bits.
  public var threads = 1
  /// The most steps of each training run; nil for as many as the study says.
  public var steps: Int?
  /// Options of `coherent train` that all cells are given, by name.
  public var set: [String: String] = [:]

  /// A request for a study as it stands.
  public init(study: String, profile: StudyProfile, dataDir: String? = nil) {
    (self.study, self.profile, self.dataDir) = (study, profile, dataDir)
  }

  /// The keys of `study.yaml`.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case study, profile, seeds, threads, steps, set
    case dataDir = "data-dir"
  }

  /// How large the study is, in words that also say what was changed.
  public var scale: String {
    let changes =
      (steps.map { ["\($0) step\($0 == 1 ? "" : "s") at most"] } ?? [])
      + set.sorted { $0.key < $1.key }.map { "\($0)=\($1)" }
    return ([profile.rawValue] + changes).joined(separator: ", ")
  }

  func yaml() throws -> String {
    let encoder = YAMLEncoder()
    encoder.options.sortKeys = true
    return try encoder.encode(self)
  }

  static func read(_ url: URL) throws -> StudySettings {
    guard let data = try? readFile(url) else {
      throw StudyError("\(url.path) cannot be read.", remedy: "Name a folder that coherent study run has written.")
    }
    do {
      guard let node = try StrictYAML.compose(String(decoding: data, as: UTF8.self), source: url.path) else {
        throw TrainingError(.configuration, "it is empty")
      }
      return try StudySettings(node)
    } catch {
      throw StudyError(
        "\(url.path) is not the description of a study: \(error).",
        remedy: "Restore the file, or start the study again in another folder.")
    }
  }

  /// By hand: the decoder of YAML reads numbers in more ways than there are, and ends the program at some.
  private init(_ node: Node) throws {
    func failure(_ key: String, _ expected: String) -> TrainingError {
      TrainingError(.configuration, "\(key) must be \(expected)")
    }
    func number<Number: FixedWidthInteger>(_ node: Node, _ key: String) throws -> Number {
      guard let text = node.scalar?.string, let number = Number(text) else { throw failure(key, "a whole number") }
      return number
    }
    func value(_ key: CodingKeys) -> Node? { node[key.rawValue].flatMap { $0.null == nil ? $0 : nil } }
    func word(_ key: CodingKeys) throws -> String? {
      guard let value = value(key) else { return nil }
      guard let text = value.scalar?.string else { throw failure(key.rawValue, "a word") }
      return text
    }
    guard let study = try word(.study), let name = try word(.profile), let profile = StudyProfile(rawValue: name) else {
      throw failure("study and profile", "those of a study")
    }
    self.init(study: study, profile: profile, dataDir: try word(.dataDir))
    if let list = value(.seeds) {
      guard let entries = list.sequence else { throw failure("seeds", "a list of whole numbers") }
      seeds = try entries.map { try number($0, "seeds") }
    }
    guard let threads = value(.threads) else { throw failure("threads", "a whole number") }
    self.threads = try number(threads, "threads")
    steps = try value(.steps).map { try number($0, "steps") }
    guard let pairs = value(.set)?.mapping else { throw failure("set", "a map of words") }
    for (key, text) in pairs {
      guard let key = key.string, let text = text.scalar?.string else { throw failure("set", "a map of words") }
      self.set[key] = text
    }
  }

  /// The first key in which two requests differ, with both values.
  func difference(from other: StudySettings) -> (key: String, here: String, there: String)? {
    func text<Value>(_ value: Value?) -> String { value.map { "\($0)" } ?? "none" }
    func pairs(_ set: [String: String]) -> String {
      set.isEmpty ? "none" : set.sorted { $0.key < $1.key }.map { "\($0)=\($1)" }.joined(separator: ", ")
    }
    let values: [(String, String, String)] = [
      ("study", study, other.study), ("profile", profile.rawValue, other.profile.rawValue),
      ("data-dir", text(dataDir), text(other.dataDir)), ("seeds", text(seeds), text(other.seeds)),
      ("threads", "\(threads)", "\(other.threads)"), ("steps", text(steps), text(other.steps)),
      ("set", pairs(set), pairs(other.set)),
    ]
    return values.first { $0.1 != $0.2 }
  }
}

extension StudySettings {
  /// Gives every cell what the request says: data folder, threads, step limit, overrides and tags.
  func adapt(_ cells: [Cell], of study: Study) throws -> [Cell] {
    try checkOverrides(cells, of: study)
    return try cells.map { cell in
      guard var configuration = cell.setting else { return cell }
      configuration.threads = threads
      // Rules compare evaluations of everything, and grids of large models would fill a disk.
      configuration.evalSchedule = .dense
      configuration.keep = "last"
      configuration.tags = ["study": study.id, "profile": scale, "cell": cell.name]
      configuration.tags["claims"] = cell.about?.joined(separator: " ")
      if !set.isEmpty { configuration = try configuration.overridden(by: set, source: "--set") }
      // After the overrides, which may name another data set.
      let isBuiltIn = try DatasetCatalog.entry(named: configuration.dataset).isBuiltIn
      configuration.dataDir = isBuiltIn ? nil : dataDir
      if let steps { configuration.limit(steps: steps) }
      try configuration.validate()
      var changed = cell
      changed.setting = configuration
      return changed
    }
  }

  /// What a grid rests on cannot be set, nor what it varies: cells would not be what their names say.
  private func checkOverrides(_ cells: [Cell], of study: Study) throws {
    guard !set.isEmpty else { return }
    let settings = cells.compactMap(\.setting)
    if settings.isEmpty {
      throw StudyError("\(study.id) trains nothing that --set could change.", remedy: "Leave it out.")
    }
    for key in set.keys.sorted() {
      if key == "tags" {
        throw StudyError("--set tags is not possible: the study tags its runs itself.", remedy: "Leave it out.")
      }
      if ["data-dir", "threads", "seed", "steps"].contains(key) {
        throw StudyError("--set \(key) is not possible.", remedy: "Use the option of coherent study run for it.")
      }
      if study.fixed.contains(key) {
        throw StudyError("--set \(key) is not possible: \(study.id) depends on it.", remedy: "Leave it out.")
      }
      // A run is so many steps or so many epochs long: one takes the other's place.
      let names = key == "epochs" ? ["epochs", "steps"] : [key]
      let values = try Set(
        settings.map { setting in
          let options = try setting.options()
          return names.compactMap { options[$0] }.first ?? "its default"
        })
      guard values.count > 1, !study.overridable.contains(key) else { continue }
      throw StudyError(
        "--set \(key) is not possible: it is what \(study.id) varies (\(values.sorted().joined(separator: " / "))).",
        remedy: "Set other options, or write a study of your own around coherent train and coherent study judge.")
    }
  }
}

extension TrainingConfiguration {
  /// The options that have a value, by name, as text.
  func options() throws -> [String: String] {
    let mapping = try Yams.compose(yaml: yaml())?.mapping
    var options: [String: String] = [:]
    for (key, value) in mapping ?? [:] {
      guard let name = key.string else { continue }
      let list = value.sequence.map { "[" + $0.compactMap { $0.scalar?.string }.joined(separator: ", ") + "]" }
      options[name] = try value.scalar?.string ?? list ?? Yams.serialize(node: value)
    }
    return options
  }

  /// Ends training after so many steps, where it would go on for longer or for a number of epochs.
  mutating func limit(steps limit: Int) {
    if let steps, steps <= limit { return }
    steps = limit
    epochs = nil
  }
}
