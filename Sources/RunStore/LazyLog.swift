// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A log that exists only once it has a record, so that a run without this kind of probe has no such file.
final class LazyLog {
  private let url: URL
  /// The log, once there is one.
  private(set) var file: AppendOnlyFile?
  private var isClosed = false

  /// Opens the log when it exists.
  init(_ url: URL) throws {
    self.url = url
    if FileManager.default.fileExists(atPath: url.path) { file = try AppendOnlyFile(url) }
  }

  /// Appends lines, after the header when they are the first.
  func append<Record: CSVRecord>(_ records: [Record]) throws {
    guard !isClosed else {
      throw RunStoreError("\(url.path) was already closed.", remedy: "Open a new log writer to continue.")
    }
    let log = try file ?? AppendOnlyFile(url)
    file = log
    try log.append((log.size == 0 ? CSV.header(Record.self) : "") + CSV.lines(records))
  }

  /// Later appends throw.
  func close() { isClosed = true }
}
