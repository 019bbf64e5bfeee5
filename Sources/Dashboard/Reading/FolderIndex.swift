// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore

/// What lies below the folders that are served: runs, studies and audits. It lists a folder again only when that has
/// changed, and reads a file again only when it has another size or was written since.
actor FolderIndex {
  /// Something that has pages.
  struct Entry: Sendable {
    /// What it is.
    enum Kind: String, Sendable { case run, study, audit }

    /// What it is.
    let kind: Kind
    /// A short name for addresses, the same as long as it lies where it does.
    let id: String
    /// Its folder, without symbolic links.
    let url: URL
    /// The path below the folder that is served, behind that folder's name where there are several.
    let name: String
  }

  /// Everything there is at one moment.
  struct Snapshot: Sendable {
    /// In the order of their paths.
    var entries: [Entry] = []
    /// The rows of the table of runs, by id.
    var rows: [String: RunRow] = [:]

    /// Those of one kind.
    func entries(_ kind: Entry.Kind) -> [Entry] { entries.filter { $0.kind == kind } }
    /// The one with an id.
    func entry(_ id: String, _ kind: Entry.Kind) -> Entry? { entries.first { $0.id == id && $0.kind == kind } }
  }

  private struct Folder {
    let stamp: FileStamp
    let isCertain: Bool
    let kinds: [Entry.Kind]
    let inner: [String]
  }

  private struct Row {
    let stamps: [FileStamp?]
    let isHeld: Bool
    var row: RunRow
  }

  /// How far below a folder that is served things are found.
  static let depth = 6
  /// What is asked again sooner gets the same answer.
  private static let interval: Double = 1

  private let roots: [URL]
  private var folders: [String: Folder] = [:]
  private var rows: [String: Row] = [:]
  private var latest: (when: Double, snapshot: Snapshot)?
  /// How many times a folder was listed and a row was read.
  private(set) var work = (listed: 0, read: 0)

  /// An index of nothing yet.
  ///
  /// - Parameter roots: the folders that are served, without symbolic links.
  init(roots: [URL]) { self.roots = roots }

  /// What there is now.
  ///
  /// - Parameter isForced: whether to look even where that was done a moment ago.
  func snapshot(isForced: Bool = false) -> Snapshot {
    let now = Double(DispatchTime.now().uptimeNanoseconds) / 1e9
    if let latest, !isForced, now - latest.when < Self.interval { return latest.snapshot }
    var snapshot = Snapshot()
    var seen: [String: Folder] = [:]
    for root in roots { visit(root, root, depth: 0, &snapshot, &seen) }
    folders = seen
    let locks = HeldLocks()
    var kept: [String: Row] = [:]
    for entry in snapshot.entries where entry.kind == .run {
      let row = row(of: entry, locks)
      kept[entry.id] = row
      snapshot.rows[entry.id] = row.row
    }
    rows = kept
    latest = (now, snapshot)
    return snapshot
  }

  private func visit(
    _ url: URL, _ root: URL, depth: Int, _ snapshot: inout Snapshot, _ seen: inout [String: Folder]
  ) {
    // A folder that is served inside of another one is there once.
    guard seen[url.path] == nil, let folder = folder(url) else { return }
    seen[url.path] = folder
    for kind in folder.kinds {
      snapshot.entries.append(Entry(kind: kind, id: Self.id(url.path), url: url, name: name(of: url, in: root)))
    }
    guard depth < Self.depth else { return }
    for name in folder.inner {
      visit(url.appendingPathComponent(name, isDirectory: true), root, depth: depth + 1, &snapshot, &seen)
    }
  }

  /// The path below the folder that is served; with that folder's own name where there are several.
  private func name(of url: URL, in root: URL) -> String {
    let below = url.path.dropFirst(root.path.count).drop { $0 == "/" }
    guard !below.isEmpty else { return url.lastPathComponent }
    return (roots.count > 1 ? root.lastPathComponent + "/" : "") + below
  }

  /// What a folder is and which folders to look into; nil when it cannot be listed.
  private func folder(_ url: URL) -> Folder? {
    guard let stamp = FileStamp(of: url) else { return nil }
    if let known = folders[url.path], known.stamp == stamp, known.isCertain { return known }
    work.listed += 1
    guard let names = Self.list(url.path) else { return nil }
    var kinds: [Entry.Kind] = []
    if names.files.contains("manifest.json") { kinds.append(.run) }
    if names.files.contains("study.yaml") { kinds.append(.study) }
    if names.files.contains("audit.json") { kinds.append(.audit) }
    // A run holds checkpoints, and nothing that has a page of its own.
    let inner =
      kinds.contains(.run) ? [] : names.folders.sorted { $0.localizedStandardCompare($1) == .orderedAscending }
    return Folder(stamp: stamp, isCertain: !stamp.isFresh, kinds: kinds, inner: inner)
  }

  /// The files and the folders in a folder, without hidden ones; symbolic links are neither.
  private static func list(_ path: String) -> (files: Set<String>, folders: [String])? {
    guard let handle = opendir(path) else { return nil }
    defer { closedir(handle) }
    var (files, folders): (Set<String>, [String]) = ([], [])
    while let item = readdir(handle) {
      let name = withUnsafePointer(to: &item.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
      }
      guard !name.hasPrefix(".") else { continue }
      switch Int(item.pointee.d_type) {
      case Int(DT_REG): files.insert(name)
      case Int(DT_DIR): folders.append(name)
      case Int(DT_UNKNOWN):
        var information = stat()
        guard lstat(path + "/" + name, &information) == 0 else { continue }
        if information.st_mode & S_IFMT == S_IFREG { files.insert(name) }
        if information.st_mode & S_IFMT == S_IFDIR { folders.append(name) }
      default: continue
      }
    }
    return (files, folders)
  }

  private func row(of entry: Entry, _ locks: HeldLocks) -> Row {
    let stamps = RunRow.files.map { FileStamp(of: entry.url.appendingPathComponent($0)) }
    let isHeld = locks.holds(entry.url)
    if let known = rows[entry.id], known.stamps == stamps, known.isHeld == isHeld, known.row.status != .running {
      return known
    }
    if var known = rows[entry.id], known.stamps == stamps, known.isHeld == isHeld {
      // Nothing was written: only the time that has passed can make another run of it.
      known.row.refreshStatus(entry.url, isHeld: isHeld)
      return known
    }
    work.read += 1
    return Row(stamps: stamps, isHeld: isHeld, row: RunRow(entry.url, isHeld: isHeld))
  }

  /// A short name for a path: FNV-1a, 64 bits.
  static func id(_ path: String) -> String {
    let hash = path.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
