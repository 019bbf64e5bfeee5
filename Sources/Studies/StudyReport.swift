// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import RunStore

/// Figures and page of a study, from its folder.
public struct StudyReport {
  private let folder: StudyFolder
  private let settings: StudySettings
  private let study: Study
  private let cells: [Cell]
  private let results: StudyResults
  private let runs: [RunDirectory]
  private let manifests: [String: RunManifest]
  /// The figures.
  public let figures: [Figure]

  /// Reads the folder.
  ///
  /// - Throws: `StudyError` when it is no study's; `RunStoreError` when a run cannot be read.
  public init(_ folder: StudyFolder, _ results: StudyResults) throws {
    (self.folder, self.results) = (folder, results)
    settings = try folder.settings()
    study = try StudyCatalog.study(settings.study)
    cells = try study.cells(settings, in: folder)
    runs = folder.runs(of: cells)
    let known = Dictionary(try runs.map { ($0.name, try $0.manifest()) }, uniquingKeysWith: { first, _ in first })
    manifests = known
    // Runs about single claims are of another kind than those that the figures show.
    let shown = runs.filter { known[$0.name]?.extra["claims"] == nil }
    figures = try StudyFigures.figures(
      for: study.id, runs: shown, measurements: try folder.measurements(of: cells).map { ($0.name, $0.values) })
  }

  /// Writes `report.html`, and the figures' data and pictures into `figures/`.
  ///
  /// - Parameter formats: the pictures' formats.
  /// - Returns: the page.
  /// - Throws: `ChartError` when a figure cannot be drawn; `RunStoreError` when a file cannot be written.
  @discardableResult
  public func write(formats: [FigureFormat] = [.svg, .pdf]) throws -> URL {
    try Figure.export(figures, to: folder.figures, formats: formats, withTables: true)
    try page(formats).write(to: folder.report)
    return folder.report
  }

  /// The study's title with the data it ran on, which need not be the paper's.
  private var title: String {
    let ran = runs.compactMap { manifests[$0.name]?.dataset.name }
    let planned = cells.compactMap(\.configuration?.dataset)
    return Self.title(study.title, ranOn: ran.isEmpty ? planned : ran)
  }

  /// The data sets by the names that people use.
  private static let names = [
    "digits": "built-in digits", "mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100", "folder": "a folder of pictures",
  ]

  private static func name(_ dataset: String) -> String {
    let sums = "modular:"
    return names[dataset] ?? (dataset.hasPrefix(sums) ? "sums modulo \(dataset.dropFirst(sums.count))" : dataset)
  }

  /// A title with data sets, which take the place of one at its end.
  static func title(_ title: String, ranOn datasets: [String]) -> String {
    let ran = Set(datasets).sorted().map(name).joined(separator: " and ")
    guard !ran.isEmpty else { return title }
    let named = names.values.map { " on \($0)" }.first(where: title.hasSuffix)
    return named.map { "\(title.dropLast($0.count)) on \(ran)" } ?? "\(title): \(ran)"
  }

  private func page(_ formats: [FigureFormat]) -> StudyPage {
    StudyPage(
      id: study.id, title: title, question: study.question, paper: study.paper, section: study.section,
      profile: results.profile, scale: study.scales[settings.profile] ?? "",
      verdicts: results.verdicts, figures: figures.filter { !$0.isComposite },
      cells: zip(cells, results.cells).map { cell($0, $1) }, machine: facts, command: command,
      formats: formats)
  }

  private func cell(_ cell: Cell, _ record: StudyResults.CellRecord) -> StudyPage.Cell {
    let manifest = manifests[cell.name]
    let isBegun = FileManager.default.fileExists(atPath: folder.url.appendingPathComponent(record.results).path)
    let report = folder.run(of: cell.name).appendingPathComponent("report.html").path
    let problem = record.problem.map { ": \($0)" } ?? ""
    return StudyPage.Cell(
      name: cell.name, purpose: cell.title, status: record.status + problem, steps: manifest?.summary?.steps,
      trainAccuracy: manifest?.summary?.last?.trainAccuracy, testAccuracy: manifest?.summary?.last?.testAccuracy,
      seconds: manifest?.summary?.wallSeconds, path: isBegun ? record.results : nil,
      report: FileManager.default.fileExists(atPath: report) ? "\(record.results)/report.html" : nil,
      command: record.command.split(separator: " ").map(String.init))
  }

  /// The command that repeats the study.
  private var command: [String] {
    var words = ["coherent", "study", "run", study.id, "--profile", settings.profile.rawValue]
    if let dataDir = settings.dataDir { words += ["--data-dir", dataDir] }
    if let seeds = settings.seeds { words += ["--seeds", seeds.map(String.init).joined(separator: ",")] }
    if let steps = settings.steps { words += ["--steps", "\(steps)"] }
    if settings.threads != 1 { words += ["--threads", "\(settings.threads)"] }
    for (key, value) in settings.set.sorted(by: { $0.key < $1.key }) { words += ["--set", "\(key)=\(value)"] }
    return words + ["--out", folder.url.lastPathComponent]
  }

  private var facts: [(name: String, value: String)] {
    let runs = manifests.values.sorted { $0.created < $1.created }
    let computed = cells.compactMap { ComputationRecord.read(folder.computation(of: $0.name)) }
    let machines = runs.map(\.machine) + computed.map(\.machine)
    guard !machines.isEmpty else { return [] }
    func all(_ words: [String?]) -> String {
      let known = Set(words.compactMap { $0 }).sorted()
      return known.isEmpty ? "?" : known.joined(separator: "; ")
    }
    let seconds = runs.compactMap(\.summary?.wallSeconds).reduce(0, +)
    let programs = all(runs.map(\.tool.title) + computed.map(\.tool.title))
    let libraries = all(runs.map(\.libtorch?.loaded) + computed.map(\.libtorch.loaded))
    return [
      ("Processor", all(machines.map(\.cpuModel))),
      ("Threads of each cell", "\(settings.threads)"),
    ] + (runs.isEmpty ? [] : [("Wall time of all runs together", Self.duration(seconds))])
      + (computed.isEmpty
        ? [] : [("Wall time of computations", Self.duration(computed.map(\.wallSeconds).reduce(0, +)))])
      + [
        ("Program", "\(programs), libtorch \(libraries)"),
        ("System", all(machines.map(\.operatingSystem))),
      ]
  }

  private static func duration(_ seconds: Double) -> String {
    guard let minutes = Int(exactly: (seconds / 60).rounded()) else { return "?" }
    return minutes >= 60
      ? "\(minutes / 60) h \(minutes % 60) min"
      : minutes > 0 ? "\(minutes) min" : "\(Wording.whole(seconds.rounded(.down))) s"
  }
}

extension StudyReport {
  /// Gathers what is worth keeping in a folder: score card, figures with their data, the request, the configuration of
  /// every cell, how its run ended (`runs.csv`) or what it computed, and a text with machine, wall time and command. No
  /// path of this machine is in it.
  ///
  /// - Throws: as `write(formats:)`.
  public func export(to path: String) throws {
    let target = URL(fileURLWithPath: path).standardizedFileURL
    let place = StudyFolder(path)
    guard target != folder.url, place.isKept || !place.hasResults else {
      throw StudyError(
        "\(path) is the folder of a study; an export there would overwrite its score card and its request.",
        remedy: "Choose another folder with --export.")
    }
    try StudyFolder(path).make()
    try Figure.export(figures, to: target.appendingPathComponent("figures"), formats: [.svg], withTables: true)
    var words = command
    if let place = words.firstIndex(of: "--data-dir") { words[place + 1] = "data" }
    try portable(studyCommand: words).write(to: StudyFolder(path))
    func write(_ text: String, _ name: String) throws {
      let portable = text.replacingOccurrences(of: folder.url.path + "/", with: "")
      let file = target.appendingPathComponent(name)
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try writeAtomically(Data(portable.utf8), to: file)
    }
    var request = settings
    request.dataDir = nil
    try write(request.yaml(), "study.yaml")
    // As the commands of the score card name them.
    for cell in cells {
      if var configuration = cell.configuration {
        configuration.dataDir = nil
        try write(configuration.yaml(), "configs/\(cell.name).yaml")
      } else if let data = try? readFile(folder.measurement(of: cell.name)) {
        try write(String(decoding: data, as: UTF8.self), "measured/\(cell.name).csv")
      }
    }
    // Splits are small tables; weights are not kept, as the cells that make them are named.
    for split in Set(cells.compactMap(\.configuration?.split)) where split.hasPrefix(folder.url.path + "/") {
      guard let data = try? readFile(URL(fileURLWithPath: split)) else { continue }
      try write(String(decoding: data, as: UTF8.self), String(split.dropFirst(folder.url.path.count + 1)))
    }
    let ends = try runs.flatMap { try EndRecord.ends(of: $0, name: $0.name) }
    if !ends.isEmpty { try write(EndRecord.table(ends), "runs.csv") }
    let pictures = figures.map { figure in
      let claims = study.claims.filter { !StudyFigures.figures(about: $0, among: [figure]).isEmpty }
      return "![\(figure.title)](figures/\(figure.id).svg)\n\n"
        + (claims + ["[data](figures/\(figure.id).csv)"]).joined(separator: " · ") + "\n"
    }
    let lines = facts.map { "- \($0.name): \($0.value)" } + ["", "    " + words.joined(separator: " "), ""] + pictures
    try write(lines.joined(separator: "\n"), "machine.md")
  }

  /// The results with commands for the kept files, whose data are elsewhere. A computation needs the whole study's folder.
  private func portable(studyCommand: [String]) -> StudyResults {
    var kept = results
    for (place, cell) in cells.enumerated() {
      guard let configuration = cell.configuration else {
        kept.cells[place].command = studyCommand.joined(separator: " ")
        continue
      }
      guard configuration.dataDir != nil else { continue }
      kept.cells[place].command = StudyResults.trainingCommand(cell.name, dataDir: "data")
    }
    return kept
  }
}
