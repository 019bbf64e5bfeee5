// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How the transfer of a file ended.
enum TransferOutcome: Sendable, Equatable {
  /// The server sent all that it announced.
  case complete
  /// The server has nothing after the bytes that are there (HTTP 416).
  case nothingMore
  /// The server answered with another status.
  case status(Int)
  /// More bytes came than the file has.
  case tooLong
  /// The connection failed; what arrived is kept.
  case failed(String)
  /// The file could not be written.
  case unwritable(String)
}

/// What `Download` does, by the program `curl`: for builds that leave FoundationNetworking out, because they bring
/// everything along and that would need libcurl.
struct CurlTransfer {
  let path: String
  /// Bytes of the file that are there already.
  let offset: Int
  let expectedSize: Int
  let progress: @Sendable (Int) -> Void

  private static let writeError = 23
  private static let httpError = 22
  private static let rangeError = 33

  /// Runs the transfer; `timeout` seconds without a byte end it.
  func run(_ url: URL, timeout: Double) async -> TransferOutcome {
    guard let program = Self.program else {
      return .failed("the program curl is not on the path; install it, or put the file of \(url) into the folder")
    }
    let output: (code: Int, status: Int, words: String)
    do {
      guard let ended = try await run(program, url, timeout: timeout) else { return .tooLong }
      output = ended
    } catch { return .failed("curl could not be started: \(FileReading.reason(error))") }
    if let size = size(), size > 0 { progress(size) }
    // Some versions of curl call that a success.
    if output.status == 416 { return .nothingMore }
    switch output.code {
    case 0: return (size() ?? 0) > expectedSize ? .tooLong : .complete
    case Self.httpError: return .status(output.status)
    case Self.rangeError where offset > 0:
      // The server sends the whole file or nothing.
      return await CurlTransfer(path: path, offset: 0, expectedSize: expectedSize, progress: progress)
        .run(url, timeout: timeout)
    case Self.writeError: return .unwritable(output.words)
    default: return .failed(output.words)
    }
  }

  /// Waits for curl: its exit code, the HTTP status and its complaint; nil when it was stopped at more bytes than the
  /// file has.
  private func run(_ program: String, _ url: URL, timeout: Double) async throws -> (Int, Int, String)? {
    let seconds = String(Int(exactly: max(timeout, 1).rounded(.up)) ?? 60)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments =
      [
        "--silent", "--show-error", "--fail", "--location", "--globoff", "--proto", "=http,https",
        "--header", "Accept-Encoding: identity", "--connect-timeout", seconds, "--speed-limit", "1",
        "--speed-time", seconds, "--write-out", "%{http_code}", "--output", path,
      ] + (offset > 0 ? ["--continue-at", String(offset)] : []) + [url.absoluteString]
    let (status, words) = (Pipe(), Pipe())
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = status
    process.standardError = words
    try process.run()
    var isTooLong = false
    while process.isRunning {
      if let size = size() {
        isTooLong = size > expectedSize
        if !isTooLong, size > offset { progress(size) }
      }
      // Not SIGTERM, which a child may have inherited blocked.
      if isTooLong || Task.isCancelled { kill(process.processIdentifier, SIGKILL) }
      try? await Task.sleep(nanoseconds: 50_000_000)
    }
    process.waitUntilExit()
    if isTooLong { return nil }
    func text(_ pipe: Pipe) -> String {
      String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        .trimmingCharacters(in: .whitespacesAndNewlines)
    }
    // "curl: (7) Failed to connect to ..."
    let complaint = text(words).split(separator: ") ", maxSplits: 1).last.map { String($0) } ?? "curl was stopped"
    return (Int(process.terminationStatus), Int(text(status)) ?? 0, complaint)
  }

  private func size() -> Int? { try? FileReading.regularFileSize(path) }

  /// Where curl is; nil where it is not on the path.
  static var program: String? {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    return folders.map { "\($0)/curl" }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }
}
