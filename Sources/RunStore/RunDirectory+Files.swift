// SPDX-License-Identifier: Apache-2.0

import Foundation

extension RunDirectory {
  /// Writes `config.yaml`, the resolved configuration.
  ///
  /// - Throws: `RunStoreError` when it cannot be written.
  public func write(config yaml: String) throws { try writeAtomically(Data(yaml.utf8), to: file(RunFile.config)) }

  /// The text of `config.yaml`.
  ///
  /// - Throws: `RunStoreError` when it is missing or is not text.
  public func config() throws -> String {
    guard FileManager.default.fileExists(atPath: file(RunFile.config).path) else {
      throw RunStoreError(
        "\(url.path) has no \(RunFile.config).",
        remedy:
          "Restore it from a copy; a run that a program of your own began has none, and is continued by that program.")
    }
    guard let text = String(data: try read(RunFile.config), encoding: .utf8) else {
      throw RunStoreError("\(file(RunFile.config).path) is not UTF-8 text.", remedy: "Restore it from a copy.")
    }
    return text
  }

  /// Writes `manifest.json`.
  ///
  /// - Throws: `RunStoreError` when it cannot be written.
  public func write(manifest: RunManifest) throws {
    let data = try RunJSON.encoder(pretty: true).encode(manifest) + Data("\n".utf8)
    try writeAtomically(data, to: file(RunFile.manifest))
  }

  /// Reads `manifest.json`.
  ///
  /// - Throws: `RunStoreError` when it is missing or damaged, naming the key.
  public func manifest() throws -> RunManifest {
    let place = file(RunFile.manifest).path
    let manifest = try RunJSON.decode(RunManifest.self, from: read(RunFile.manifest), at: place)
    try manifest.check(at: place)
    return manifest
  }

  /// Writes `labels.csv`.
  ///
  /// - Throws: `RunStoreError` when it cannot be written.
  public func write(labels: [LabelRecord]) throws { try write(labels, to: RunFile.labels) }

  /// Reads `labels.csv`; empty when there is none.
  ///
  /// - Throws: `RunStoreError` naming file, line and column of a bad cell.
  public func labels() throws -> [LabelRecord] { try records(LabelRecord.self, in: RunFile.labels, isLog: false) }

  /// Writes `classes.csv`.
  ///
  /// - Parameter classes: the name of every class, in their order.
  /// - Throws: `RunStoreError` when it cannot be written.
  public func write(classes: [String]) throws {
    try write(classes.enumerated().map { ClassRecord(number: $0, name: $1) }, to: RunFile.classes)
  }

  /// Reads `classes.csv`, the name of every class in their order; `nil` when there is none, as in runs of earlier
  /// versions.
  ///
  /// - Throws: `RunStoreError` naming file, line and column of a bad cell, or a class out of order.
  public func classes() throws -> [String]? {
    guard FileManager.default.fileExists(atPath: file(RunFile.classes).path) else { return nil }
    let records = try records(ClassRecord.self, in: RunFile.classes, isLog: false)
    if let (place, record) = zip(0..., records).first(where: { $0 != $1.number }) {
      throw RunStoreError(
        "\(file(RunFile.classes).path): found class \(record.number) where class \(place) was expected.",
        remedy: "Give every class one line, in ascending order from 0, or restore the file from a copy.")
    }
    return records.map(\.name)
  }

  /// Writes `skipped.csv`.
  ///
  /// - Throws: `RunStoreError` when it cannot be written.
  public func write(skipped: [SkippedRecord]) throws { try write(skipped, to: RunFile.skipped) }

  /// Reads `skipped.csv`; empty when there is none.
  ///
  /// - Throws: `RunStoreError` naming file, line and column of a bad cell.
  public func skipped() throws -> [SkippedRecord] { try records(SkippedRecord.self, in: RunFile.skipped, isLog: false) }

  /// Writes `examples.csv`.
  ///
  /// - Throws: `RunStoreError` when it cannot be written.
  public func write(examples: [ExampleRecord]) throws { try write(examples, to: RunFile.examples) }

  /// Reads `examples.csv`; empty when there is none yet.
  ///
  /// - Throws: `RunStoreError` naming file, line and column of a bad cell.
  public func examples() throws -> [ExampleRecord] {
    try records(ExampleRecord.self, in: RunFile.examples, isLog: false)
  }

  /// Reads a log, such as that of `MetricRecord`; empty when there is none yet. A last line that is still being written is
  /// left out.
  ///
  /// - Throws: `RunStoreError` naming file, line and column of a bad cell.
  public func log<Record: LogRecord>(_: Record.Type = Record.self) throws -> [Record] {
    try records(Record.self, in: Record.file, isLog: true)
  }

  /// Writes the per-example gradient records of a step, a whole file, into their folder.
  ///
  /// - Throws: `RunStoreError` when it cannot be written.
  public func write(exampleGradients data: Data, step: Int) throws {
    try makeFolder(exampleGradients)
    try writeAtomically(data, to: exampleGradients.appendingPathComponent(RunFile.exampleGradientsName(step: step)))
  }

  /// Writes what training showed of every example.
  ///
  /// - Throws: `RunStoreError` when it cannot be written.
  public func write(dynamics data: Data) throws { try writeAtomically(data, to: dynamics) }

  /// The files of per-example gradient records with their steps, in the order of the steps.
  public func exampleGradientFiles() -> [(step: Int, file: URL)] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: exampleGradients.path)) ?? []
    return names.compactMap { name in
      RunFile.exampleGradientsStep(name).map { ($0, exampleGradients.appendingPathComponent(name)) }
    }.sorted { $0.step < $1.step }
  }

  /// Reads `events.jsonl`; empty when there is none yet. A last line that is still being written is left out.
  ///
  /// - Throws: `RunStoreError` naming file and line of an unreadable event.
  public func events() throws -> [RunEvent] {
    try Self.events(in: readLog(RunFile.events, from: 0), file: file(RunFile.events).path)
  }

  /// The step that the run has reached by what it recorded; nil when it recorded nothing after step 0 and has not ended.
  ///
  /// - Throws: `RunStoreError` when the manifest or a log is damaged.
  public func recordedStep() throws -> Int? {
    let manifest = try manifest()
    func last<Record: LogRecord>(_: Record.Type) throws -> Int {
      do {
        return try log(Record.self).map(\.step).max() ?? 0
      } catch {
        // Zeros are what a power failure leaves of lines that no checkpoint waited for: no writer writes any.
        guard (try? read(Record.file))?.contains(0) == true else { throw error }
        return 0
      }
    }
    let steps = try logRecordTypes.map { try last($0) }
    let others = exampleGradientFiles().map(\.step) + [manifest.summary?.steps ?? 0]
    let last = (steps + others).max() ?? 0
    let hasEnded = manifest.status != .running || manifest.summary != nil
    return last > 0 || hasEnded || FileManager.default.fileExists(atPath: file(RunFile.examples).path) ? last : nil
  }

  /// Starts new logs, deleting those of an earlier run in this folder.
  ///
  /// - Throws: `RunStoreError` when the folder cannot be written to.
  public func logWriter() throws -> RunLogWriter {
    removeTemporaryFiles()
    for name in try entries() where RunFile.isLog(name) {
      guard unlink(file(name).path) == 0 else { throw RunStoreError.system("replace", file(name).path, code: errno) }
    }
    try? FileManager.default.removeItem(at: exampleGradients)
    return try RunLogWriter(folder: url, tensorBoardFile: Self.newTensorBoardName())
  }

  /// Goes on with the logs as they were when a checkpoint was taken: what was appended since is cut off, and a log that
  /// did not exist then is deleted.
  ///
  /// - Throws: `RunStoreError` when a log is missing or shorter than the checkpoint says.
  public func logWriter(resumingAt offsets: RunLogOffsets) throws -> RunLogWriter {
    removeTemporaryFiles()
    if let stranger = offsets.bytes.keys.sorted().first(where: { !RunFile.isLog($0) || $0.contains("/") }) {
      throw RunStoreError(
        "The checkpoint names a log \"\(stranger)\", which no run has.",
        remedy: "The checkpoint is damaged; resume from an earlier one or start again with --force.")
    }
    for (name, size) in offsets.bytes.sorted(by: { $0.key < $1.key }) {
      try AppendOnlyFile.truncate(file(name), to: size)
    }
    for name in try entries() where RunFile.isLog(name) && offsets.bytes[name] == nil { unlink(file(name).path) }
    let eventFile = offsets.bytes.keys.sorted().last { $0.hasPrefix(RunFile.tensorBoardPrefix) }
    return try RunLogWriter(folder: url, tensorBoardFile: eventFile ?? Self.newTensorBoardName())
  }

  private static func newTensorBoardName() -> String {
    RunFile.tensorBoardPrefix + "\(Int(exactly: Date().timeIntervalSince1970.rounded(.down)) ?? 0).coherent"
  }

  private func write(_ records: [some CSVRecord], to name: String) throws {
    try writeAtomically(Data(CSV.table(records).utf8), to: file(name))
  }

  private func records<Record: CSVRecord>(_: Record.Type, in name: String, isLog: Bool) throws -> [Record] {
    guard FileManager.default.fileExists(atPath: file(name).path) else { return [] }
    return try CSV.read(Record.self, from: read(name), file: file(name).path, ignoreUnfinished: isLog)
  }

  private func read(_ name: String) throws -> Data { try readFile(file(name)) }
}
