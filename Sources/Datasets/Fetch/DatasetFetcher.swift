// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Downloads the files of a data set: resumes where a download stopped, checks SHA-256, and goes to the next mirror
/// when one fails.
///
/// A file appears under its name only when it is whole and verified; until then it is `name.part`.
public struct DatasetFetcher: Sendable {
  /// How a download goes on.
  public enum Event: Sendable, Equatable {
    /// The file was there already, with the right checksum.
    case alreadyPresent(file: String)
    /// A transfer starts, `offset` bytes being there from before.
    case started(file: String, mirror: String, offset: Int)
    /// Bytes of the file now on disk, of its size.
    case progress(file: String, received: Int, total: Int)
    /// An attempt failed; another one, or the next mirror, follows.
    case failed(file: String, mirror: String, reason: String)
    /// The file is whole, verified and in place.
    case finished(file: String)
  }

  /// Times one mirror is tried for one file before the next mirror's turn.
  public var attemptsPerMirror: Int
  /// Seconds before a failed transfer is tried again; doubled each time.
  public var retryDelay: Double
  /// Seconds without a byte after which a transfer has failed; at most a day, and 30 when not above 0.
  public var timeout: Double
  /// Whether the program `curl` transfers, as in a build without FoundationNetworking.
  var usesCurl = Self.leavesNetworkingOut

  /// Creates a fetcher.
  public init(attemptsPerMirror: Int = 3, retryDelay: Double = 1, timeout: Double = 30) {
    (self.attemptsPerMirror, self.retryDelay, self.timeout) = (attemptsPerMirror, retryDelay, timeout)
  }

  /// Downloads what is missing of a data set into a folder.
  ///
  /// - Parameters:
  ///   - entry: the data set; a built-in one has nothing to download. An archive is unpacked into its folder below
  ///     `directory` and then removed.
  ///   - directory: the folder, made when it does not exist.
  ///   - mirror: a folder on the web to use in place of the known mirrors.
  ///   - replace: whether a file that is there with another checksum may be replaced; otherwise it is an error.
  ///   - onEvent: called as the download goes on, from any thread.
  /// - Returns: the paths of the files, in the order of `entry.files`.
  /// - Throws: `DatasetError` that lists what each mirror answered; `CancellationError` when the task is cancelled.
  @discardableResult
  public func fetch(
    _ entry: DatasetEntry, to directory: String, mirror: String? = nil, replace: Bool = false,
    onEvent: @escaping @Sendable (Event) -> Void = { _ in }
  ) async throws -> [String] {
    let bases = try (mirror.map { [$0] } ?? entry.mirrors).map(Self.base)
    if entry.isBuiltIn { return [] }
    guard entry.format != .folder, entry.format != .text else {
      throw DatasetError(
        "\(entry.name) stands for your own \(entry.format == .text ? "texts" : "pictures"): there is nothing to download.",
        remedy: "Give their folder with --data-dir.")
    }
    guard !bases.isEmpty else {
      throw DatasetError("No mirror is known for \(entry.name).", remedy: "Give one with --mirror URL.")
    }
    try DatasetLoader.makeFolder(directory)
    let lock = try FetchLock(directory)
    defer { lock.release() }
    if let archive = entry.archive {
      let unpacking = ArchiveUnpacking(archive, of: entry, in: directory)
      if try unpacking.isDone(replace: replace) {
        entry.files.forEach { onEvent(.alreadyPresent(file: $0.name)) }
      } else {
        let path = URL(fileURLWithPath: directory).appendingPathComponent(archive.name).path
        try await fetch(PublishedFile(archive), of: entry, bases: bases, to: path, replace: replace, onEvent: onEvent)
        try unpacking.unpack(path)
      }
      return unpacking.paths
    }
    var paths: [String] = []
    for file in entry.files.compactMap(PublishedFile.init) {
      let path = URL(fileURLWithPath: directory).appendingPathComponent(file.name).path
      try await fetch(file, of: entry, bases: bases, to: path, replace: replace, onEvent: onEvent)
      paths.append(path)
    }
    return paths
  }

  // One file, unless it is there.
  private func fetch(
    _ file: PublishedFile, of entry: DatasetEntry, bases: [URL], to path: String, replace: Bool,
    onEvent: @escaping @Sendable (Event) -> Void
  ) async throws {
    if FileManager.default.fileExists(atPath: path) {
      let sum = try file.checksum.sum(of: path)
      if sum == file.checksum.value { return onEvent(.alreadyPresent(file: file.name)) }
      guard replace else {
        throw DatasetError(
          "\(path) already exists, but it is not the file of \(entry.name): its \(file.checksum.name) is \(sum), not "
            + "\(file.checksum.value).",
          remedy: "Move it away, choose another folder, or allow it to be replaced (--force).")
      }
    }
    try await fetch(file, of: entry, bases: bases, to: path, onEvent: onEvent)
  }

  // One file, mirror after mirror.
  private func fetch(
    _ file: PublishedFile, of entry: DatasetEntry, bases: [URL], to path: String,
    onEvent: @escaping @Sendable (Event) -> Void
  ) async throws {
    var reasons: [String] = []
    for base in bases {
      var delay = retryDelay
      for attempt in 1...max(attemptsPerMirror, 1) {
        try Task.checkCancellation()
        let result = try await self.attempt(file, base: base, path: path, onEvent: onEvent)
        try Task.checkCancellation()
        guard let reason = result.reason else {
          onEvent(.finished(file: file.name))
          return
        }
        onEvent(.failed(file: file.name, mirror: base.absoluteString, reason: reason))
        if !result.mayRetry || attempt >= attemptsPerMirror {
          reasons.append("\(base.absoluteString): \(reason)")
          break
        }
        // In range: written so that no number, not even one that is none, makes the conversion fail.
        try await Task.sleep(nanoseconds: delay > 0 ? UInt64(min(delay, 60) * 1e9) : 0)
        delay *= 2
      }
    }
    throw DatasetError(
      "\(file.name) of \(entry.name) could not be downloaded. " + reasons.joined(separator: "; ") + ".",
      remedy: "Check the network and run the command again (it resumes), or give another source with --mirror URL.")
  }

  private struct Result {
    /// Why the attempt failed; nil when the file is in place.
    var reason: String?
    var mayRetry = false
  }

  // One transfer and the check of what is then there.
  private func attempt(
    _ file: PublishedFile, base: URL, path: String, onEvent: @escaping @Sendable (Event) -> Void
  ) async throws -> Result {
    let part = path + ".part"
    // What a link leads to is somebody else's.
    var facts = stat()
    if lstat(part, &facts) == 0, facts.st_mode & S_IFMT != S_IFREG {
      throw DatasetError("\(part) is not a regular file, but a link or a folder.", remedy: "Remove it.")
    }
    var offset = FileManager.default.fileExists(atPath: part) ? try FileReading.regularFileSize(part) : 0
    if offset >= file.size {
      // Whole but never moved into place, or the leftover of something else.
      if try install(part, as: path, file) { return Result() }
      try remove(part)
      offset = 0
    }
    onEvent(.started(file: file.name, mirror: base.absoluteString, offset: offset))
    let url = base.appendingPathComponent(file.name)
    let outcome = await transfer(url, to: part, offset: offset, size: file.size) { received in
      onEvent(.progress(file: file.name, received: received, total: file.size))
    }
    switch outcome {
    case .complete: break
    case .failed(let reason): return Result(reason: reason, mayRetry: true)
    case .unwritable(let reason):
      throw DatasetError("\(part) cannot be written: \(reason).", remedy: "Check the free space and the permissions.")
    case .nothingMore:
      try remove(part)
      return Result(reason: "it has no bytes after \(offset) (HTTP 416); starting over", mayRetry: true)
    case .tooLong:
      try remove(part)
      return Result(reason: "it sent more than the \(file.size) bytes of \(file.name)", mayRetry: offset > 0)
    case .status(let code): return Self.refusal(code, url)
    }
    let size = try FileReading.regularFileSize(part)
    if size < file.size {
      return Result(reason: "the transfer ended after \(size) of \(file.size) bytes", mayRetry: true)
    }
    let sum = try file.checksum.sum(of: part)
    if try install(part, as: path, file) { return Result() }
    try remove(part)
    // A wrong sum after a resumed transfer may be the fault of the bytes that were there before.
    let resumed = offset > 0 ? "; it was resumed, so it is fetched from the start" : ""
    return Result(
      reason: "checksum mismatch (\(file.checksum.name) \(sum) instead of \(file.checksum.value))\(resumed)",
      mayRetry: offset > 0)
  }

  private func transfer(
    _ url: URL, to part: String, offset: Int, size: Int, progress: @escaping @Sendable (Int) -> Void
  ) async -> TransferOutcome {
    let timeout = timeout > 0 ? min(timeout, 86_400) : 30
    #if !PACKED
      if !usesCurl {
        return await Download(path: part, offset: offset, expectedSize: size, progress: progress)
          .run(url, timeout: timeout)
      }
    #endif
    return await CurlTransfer(path: part, offset: offset, expectedSize: size, progress: progress)
      .run(url, timeout: timeout)
  }

  #if PACKED
    private static let leavesNetworkingOut = true
  #else
    private static let leavesNetworkingOut = false
  #endif

  private static func refusal(_ code: Int, _ url: URL) -> Result {
    switch code {
    case 404, 410: Result(reason: "\(url.lastPathComponent) was not found (HTTP \(code))")
    case 408, 425, 429, 500...599: Result(reason: "the server failed (HTTP \(code))", mayRetry: true)
    case 0: Result(reason: "the response is not HTTP")
    default: Result(reason: "the server refused (HTTP \(code))")
    }
  }

  // Moves the part into place when its checksum is right.
  private func install(_ part: String, as path: String, _ file: PublishedFile) throws -> Bool {
    guard try file.checksum.sum(of: part) == file.checksum.value else { return false }
    do {
      try FileReading.move(part, to: path)
    } catch {
      throw DatasetError(
        "\(part) cannot be renamed to \(path): \(FileReading.reason(error)).", remedy: "Check the permissions.")
    }
    return true
  }

  private func remove(_ part: String) throws {
    do {
      try FileManager.default.removeItem(atPath: part)
    } catch {
      if !FileManager.default.fileExists(atPath: part) { return }
      throw DatasetError("\(part) cannot be removed: \(FileReading.reason(error)).", remedy: "Remove it by hand.")
    }
  }

  private static func base(_ text: String) throws -> URL {
    guard let url = URL(string: text), let scheme = url.scheme?.lowercased(), ["http", "https"].contains(scheme),
      url.host?.isEmpty == false
    else {
      throw DatasetError("\"\(text)\" is not a web address.", remedy: "Give one that starts with http:// or https://.")
    }
    return url
  }
}
