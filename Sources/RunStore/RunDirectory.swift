// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What to do when the folder of a new run already holds files.
public enum ExistingRunPolicy: Sendable {
  /// Leave it alone and throw.
  case refuse
  /// Set an earlier run's files aside, and delete them once the new run has a checkpoint. A folder that is not a run's
  /// is refused all the same.
  case replace
  /// Leave every file where it is: for a run that was stopped while its folder was being set up.
  case keep
}

/// The names of the files in a run directory.
enum RunFile {
  static let config = "config.yaml"
  static let manifest = "manifest.json"
  static let labels = "labels.csv"
  static let classes = "classes.csv"
  static let examples = "examples.csv"
  static let skipped = "skipped.csv"
  static let dynamics = "dynamics.safetensors"
  static let events = "events.jsonl"
  static let checkpoints = "checkpoints"
  static let exampleGradients = "example-gradients"
  static let report = "report.html"
  static let figures = "figures"
  static let lock = ".lock"
  /// Where an earlier run's files are until the run that replaces it has a checkpoint.
  static let replaced = ".replaced"
  static let tensorBoardPrefix = "events.out.tfevents."

  /// The append-only logs, except for TensorBoard's.
  static var logs: [String] { logRecordTypes.map { $0.file } + [events] }

  /// The name of a step's file of per-example gradient records; names sort as steps do.
  static func exampleGradientsName(step: Int) -> String {
    let digits = String(step)
    return "step-" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits + ".safetensors"
  }

  /// Whether a name is that of an append-only log.
  static func isLog(_ name: String) -> Bool {
    logs.contains(name) || name.hasPrefix(tensorBoardPrefix) || name.hasSuffix(".log.csv") && !name.contains("/")
  }

  /// The files, beside the logs, that training writes into a run directory.
  static let own = [config, manifest, labels, classes, examples, skipped, dynamics, report]

  /// What is there before the manifest makes the folder a run.
  static let setUp = [config, labels, classes, skipped, checkpoints, lock, replaced]

  /// Whether a name in `checkpoints/` is that of a checkpoint's file or of weights that a run keeps.
  static func isCheckpointFile(_ name: String) -> Bool {
    if ["best.json", "selected.json"].contains(name) { return true }
    guard let prefix = ["step-", "kept-"].first(where: name.hasPrefix) else { return false }
    let rest = name.dropFirst(prefix.count)
    let digits = rest.prefix { $0.isASCII && $0.isNumber }
    return !digits.isEmpty
      && [".safetensors", ".state.safetensors", ".json"].contains(String(rest.dropFirst(digits.count)))
  }

  /// The step whose records a file in `example-gradients/` holds, by its name; nil for every other file.
  static func exampleGradientsStep(_ name: String) -> Int? {
    guard let step = Int(name.dropFirst("step-".count).prefix { $0.isASCII && $0.isNumber }),
      name == exampleGradientsName(step: step)
    else { return nil }
    return step
  }
}

/// A folder with everything about one training run, readable without the program that wrote it.
public struct RunDirectory: Sendable, Hashable {
  /// The folder.
  public let url: URL

  /// Makes the folder of a new run, and its `checkpoints` folder.
  ///
  /// - Throws: `RunStoreError` when the folder holds files and `existing` does not allow to replace them, when it does
  ///   not look like a run, or when it cannot be written to. Files that are not a run's own are never deleted.
  public static func create(at path: String, existing: ExistingRunPolicy) throws -> RunDirectory {
    try create(at: path, existing: existing) { _ in }
  }

  /// - Parameter prepare: called once the folder is there and may be used, before anything in it is deleted.
  static func create(
    at path: String, existing: ExistingRunPolicy, _ prepare: (RunDirectory) throws -> Void
  ) throws -> RunDirectory {
    let run = try RunDirectory(named: path)
    var isFolder: ObjCBool = false
    let manager = FileManager.default
    if manager.fileExists(atPath: run.url.path, isDirectory: &isFolder) {
      guard isFolder.boolValue else {
        throw RunStoreError("\(path) is a file, not a folder.", remedy: "Choose another folder with --out.")
      }
      try run.checkRoom(existing: existing)
    }
    try makeFolder(run.url)
    try prepare(run)
    try run.checkWritable()
    try run.makeRoom(existing: existing)
    try makeFolder(run.checkpoints)
    return run
  }

  /// Whether something is at a place.
  ///
  /// - Throws: `RunStoreError` where the permission to look is missing.
  private static func isThere(_ url: URL) throws -> Bool {
    var information = stat()
    if stat(url.path, &information) == 0 { return true }
    guard errno == EACCES else { return false }
    throw RunStoreError(
      "No permission to look into \(url.deletingLastPathComponent().path).",
      remedy: "Change its permissions, or run this as its owner.")
  }

  /// Opens the folder of an existing run.
  ///
  /// - Throws: `RunStoreError` when the folder does not exist, may not be read, or has no `manifest.json`.
  public static func open(at path: String) throws -> RunDirectory {
    let run = try RunDirectory(named: path)
    guard try isThere(run.url) else {
      throw RunStoreError("There is no folder \(path).", remedy: "Check the path for a typing error.")
    }
    guard try isThere(run.file(RunFile.manifest)) else {
      throw RunStoreError(
        "\(path) is not a run directory: it has no \(RunFile.manifest).",
        remedy: remedy(forMissingManifestAt: run.url, path: path))
    }
    return run
  }

  /// An empty path would be the present folder.
  private init(named path: String) throws {
    guard !path.isEmpty else {
      throw RunStoreError("The folder of the run has an empty name.", remedy: "Give the path of a folder.")
    }
    self.init(url: URL(fileURLWithPath: path).standardizedFileURL)
  }

  init(url: URL) { self.url = url }

  /// The folder of the checkpoints.
  public var checkpoints: URL { url.appendingPathComponent(RunFile.checkpoints, isDirectory: true) }

  /// The folder of the per-example gradient records, one file a step; absent in a run that takes none.
  public var exampleGradients: URL { url.appendingPathComponent(RunFile.exampleGradients, isDirectory: true) }

  /// What training showed of every example, for audits; absent in a run without the probe, and before its end.
  public var dynamics: URL { file(RunFile.dynamics) }

  /// Whether the run kept what training showed of every example.
  public var hasDynamics: Bool { FileManager.default.fileExists(atPath: dynamics.path) }

  /// The place of the HTML report.
  public var report: URL { file(RunFile.report) }

  /// The folder's name.
  public var name: String { url.lastPathComponent }

  func file(_ name: String) -> URL { url.appendingPathComponent(name, isDirectory: false) }

  /// The file names in the folder; none where there is no folder. What may not be listed is not empty: whoever took it for
  /// that would write beside what is there.
  ///
  /// - Throws: `RunStoreError` when it cannot be listed.
  func entries() throws -> [String] { try Self.entries(of: url) }

  private static func entries(of folder: URL) throws -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    } catch {
      var information = stat()
      var code = stat(folder.path, &information) == 0 ? 0 : errno
      if code == ENOENT { return [] }
      if code == 0 {
        code = information.st_mode & S_IFMT != S_IFDIR ? ENOTDIR : access(folder.path, R_OK | X_OK) == 0 ? EIO : errno
      }
      throw RunStoreError.system("list", folder.path, code: code)
    }
  }

  /// Deletes what killed writers left behind, so that a resumed run holds the same files as an uninterrupted one.
  func removeTemporaryFiles() {
    for folder in [url, checkpoints, exampleGradients] {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
      for name in names where isTemporaryName(name) { unlink(folder.path + "/" + name) }
    }
  }

  /// Whether a new run may use the folder.
  private func checkRoom(existing: ExistingRunPolicy) throws {
    let entries = try entries()
    guard try !entries.isEmpty && !isBare(entries) else { return }
    switch existing {
    case .keep: return
    case .refuse:
      throw RunStoreError(
        "The folder \(url.path) already holds files.",
        remedy: "Continue that run with --resume, replace it with --force, or choose another folder with --out.")
    case .replace:
      guard try (try? manifest()) != nil || isHalfMade(entries) else {
        let reason =
          entries.contains(RunFile.manifest)
          ? "its \(RunFile.manifest) is not that of a run" : "it has no \(RunFile.manifest)"
        throw RunStoreError(
          "The folder \(url.path) does not look like a run (\(reason)), so nothing was deleted.",
          remedy: "Choose another folder with --out, or empty this one yourself.")
      }
    }
  }

  /// Sets the files of an earlier run aside where it is to be replaced. The lock stays: it is this process's own by now.
  private func makeRoom(existing: ExistingRunPolicy) throws {
    try checkRoom(existing: existing)
    guard existing == .replace else { return }
    let files = try ownFiles()
    if try hasCheckpoint() {
      try discardReplaced()
    } else if FileManager.default.fileExists(atPath: file(RunFile.replaced).path) {
      // A run that was to replace another one ended before its first checkpoint: the other one is still worth keeping.
      for name in files { unlink(file(name).path) }
      return
    }
    guard !files.isEmpty else { return }
    for folder in Set(files.map { ((RunFile.replaced + "/" + $0) as NSString).deletingLastPathComponent }) {
      try makeFolder(url.appendingPathComponent(folder))
    }
    for name in files where rename(file(name).path, file(RunFile.replaced + "/" + name).path) != 0 {
      throw RunStoreError.system("move the earlier run's file", file(name).path, code: errno)
    }
    rmdir(exampleGradients.path)
  }

  /// The files that training wrote here, by their paths below the folder, and what killed writers left behind. Files of
  /// other names belong to somebody else.
  private func ownFiles() throws -> [String] {
    func files(in folder: String, where isOwn: (String) -> Bool) throws -> [String] {
      try Self.entries(of: file(folder)).filter { isOwn($0) || isTemporaryName($0) }.sorted().map { folder + "/" + $0 }
    }
    return try entries().filter { RunFile.own.contains($0) || RunFile.isLog($0) || isTemporaryName($0) }
      + files(in: RunFile.checkpoints, where: RunFile.isCheckpointFile)
      + files(in: RunFile.exampleGradients, where: { RunFile.exampleGradientsStep($0) != nil })
  }

  private func hasCheckpoint() throws -> Bool {
    try Self.entries(of: checkpoints).contains {
      $0.hasPrefix("step-") && $0.hasSuffix(".json") && RunFile.isCheckpointFile($0)
    }
  }

  /// Whether the folder holds what an earlier run left, until `discardReplaced`.
  public var holdsReplacedRun: Bool { FileManager.default.fileExists(atPath: file(RunFile.replaced).path) }

  /// Deletes what was set aside of an earlier run: this one has a checkpoint now.
  ///
  /// - Throws: `RunStoreError` when it cannot be deleted.
  public func discardReplaced() throws {
    guard holdsReplacedRun else { return }
    do {
      try FileManager.default.removeItem(at: file(RunFile.replaced))
    } catch {
      throw RunStoreError(
        "Cannot delete \(file(RunFile.replaced).path), the earlier run.", remedy: "Check the folder's permissions.")
    }
  }

  /// Whether a run was stopped here while its folder was being set up.
  private func isHalfMade(_ entries: [String]) throws -> Bool {
    try entries.contains(RunFile.checkpoints) && !hasCheckpoint()
      && entries.allSatisfy { RunFile.setUp.contains($0) || isTemporaryName($0) }
  }

  /// Whether nothing was written yet: a run that was killed while its folder was being made leaves no more than this.
  private func isBare(_ entries: [String]) throws -> Bool {
    try entries.allSatisfy { [RunFile.checkpoints, RunFile.lock].contains($0) || isTemporaryName($0) }
      && Self.entries(of: checkpoints).isEmpty
  }

  /// Writes and deletes a small file, so that a run that could not be saved never starts.
  private func checkWritable() throws {
    let probe = file(temporaryName(for: "probe"))
    try writeAtomically(Data("probe\n".utf8), to: probe)
    unlink(probe.path)
  }
}
