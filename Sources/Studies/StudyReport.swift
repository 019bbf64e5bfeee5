// SPDX-License-Identifier: Apache-2.0

import Foundation
import Reports
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
    manifests = Dictionary(try runs.map { ($0.name, try $0.manifest()) }, uniquingKeysWith: { first, _ in first })
    figures = try StudyFigures.figures(
      for: study.id, runs: runs, measurements: try folder.measurements(of: cells).map { ($0.name, $0.values) })
  }

  /// Writes `report.html`, and the figures' data and pictures into `figures/`.
  ///
  /// - Parameter formats: the pictures' formats.
  /// - Returns: the page.
  /// - Throws: `ReportError` when a figure cannot be drawn; `RunStoreError` when a file cannot be written.
  @discardableResult
  public func write(formats: [FigureFormat] = [.svg, .pdf]) throws -> URL {
    try Figure.export(figures, to: folder.figures, formats: formats, withTables: true)
    try page(formats).write(to: folder.report)
    return folder.report
  }

  private func page(_ formats: [FigureFormat]) -> StudyPage {
    StudyPage(
      id: study.id, title: study.title, question: study.question, paper: study.paper, section: study.section,
      profile: results.profile, scale: study.scales[settings.profile] ?? "",
      verdicts: results.verdicts.map(verdict), figures: figures,
      cells: zip(cells, results.cells).map { cell($0, $1) }, machine: facts, command: command,
      formats: formats)
  }

  private func verdict(_ verdict: Verdict) -> StudyPage.Verdict {
    let runs = verdict.runs.map { $0.split(separator: "/").last.map(String.init) ?? $0 }
    return StudyPage.Verdict(
      claim: verdict.claim.id, sentence: verdict.claim.sentence,
      source: "\(verdict.claim.paper), \(verdict.claim.section)",
      outcome: StudyPage.Outcome(rawValue: verdict.outcome.rawValue) ?? .inconclusive,
      explanation: verdict.explanation, numbers: verdict.numbers.map(\.text), missing: verdict.missing,
      scale: verdict.scale, cells: runs + verdict.measurements,
      figures: StudyFigures.figures(about: verdict.claim.id, among: figures))
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

  private var facts: [StudyPage.Fact] {
    guard let first = manifests.values.min(by: { $0.created < $1.created }) else { return [] }
    let seconds = manifests.values.compactMap(\.summary?.wallSeconds).reduce(0, +)
    let programs = Set(manifests.values.map(\.tool.title)).sorted().joined(separator: ", ")
    let kinds = Set(manifests.values.compactMap(\.machine.cpuModel)).sorted()
    return [
      StudyPage.Fact("Processor", kinds.joined(separator: "; ")),
      StudyPage.Fact("Threads of each run", "\(settings.threads)"),
      StudyPage.Fact("Wall time of all runs together", Self.duration(seconds)),
      StudyPage.Fact("Program", "\(programs), libtorch \(first.libtorch?.loaded ?? "?")"),
      StudyPage.Fact("System", first.machine.operatingSystem ?? "?"),
    ]
  }

  private static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite else { return "?" }
    let minutes = Int((seconds / 60).rounded())
    return minutes >= 60
      ? "\(minutes / 60) h \(minutes % 60) min" : minutes > 0 ? "\(minutes) min" : "\(Int(seconds)) s"
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
    try results.write(to: StudyFolder(path))
    func write(_ text: String, _ name: String) throws {
      let portable = text.replacingOccurrences(of: folder.url.path + "/", with: "")
      let file = target.appendingPathComponent(name)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
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
      } else if let data = try? Data(contentsOf: folder.measurement(of: cell.name)) {
        try write(String(decoding: data, as: UTF8.self), "measured/\(cell.name).csv")
      }
    }
    let ends = try runs.flatMap { try EndRecord.ends(of: $0, name: $0.name) }
    if !ends.isEmpty { try write(EndRecord.table(ends), "runs.csv") }
    var words = command
    if let place = words.firstIndex(of: "--data-dir") { words[place + 1] = "data" }
    let lines = facts.map { "- \($0.name): \($0.value)" } + ["", "    " + words.joined(separator: " "), ""]
    try write(lines.joined(separator: "\n"), "machine.md")
  }
}
