// SPDX-License-Identifier: Apache-2.0

import Foundation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// One HTTP transfer that appends to a file: asks for the bytes after those already there, and starts over when the
/// server does not give them.
///
/// The session calls its delegate on one serial queue, and the lock guards against cancellation from elsewhere; hence
/// the unchecked conformance.
final class Download: NSObject, URLSessionDataDelegate, @unchecked Sendable {
  typealias Outcome = TransferOutcome

  private let path: String
  private let expectedSize: Int
  private let progress: @Sendable (Int) -> Void
  private let lock = NSLock()
  private var continuation: CheckedContinuation<Outcome, Never>?
  private var handle: FileHandle?
  private var written: Int
  private var verdict: Outcome?

  /// Prepares a transfer to `path`, of which `offset` bytes are there already.
  init(path: String, offset: Int, expectedSize: Int, progress: @escaping @Sendable (Int) -> Void) {
    (self.path, self.expectedSize, self.progress) = (path, expectedSize, progress)
    written = offset
  }

  /// Runs the transfer; `timeout` seconds without a byte end it.
  func run(_ url: URL, timeout: Double) async -> Outcome {
    let configuration = URLSessionConfiguration.ephemeral
    configuration.timeoutIntervalForRequest = timeout
    configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
    configuration.urlCache = nil
    let session = URLSession(configuration: configuration, delegate: self, delegateQueue: nil)
    defer { session.finishTasksAndInvalidate() }
    var request = URLRequest(url: url, cachePolicy: .reloadIgnoringLocalCacheData, timeoutInterval: timeout)
    // The bytes as stored: a server that unpacks .gz files on the way would break their checksum.
    request.setValue("identity", forHTTPHeaderField: "Accept-Encoding")
    if written > 0 { request.setValue("bytes=\(written)-", forHTTPHeaderField: "Range") }
    let task = session.dataTask(with: request)
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        lock.withLock { self.continuation = continuation }
        task.resume()
      }
    } onCancel: {
      task.cancel()
    }
  }

  func urlSession(
    _ session: URLSession, dataTask: URLSessionDataTask, didReceive response: URLResponse,
    completionHandler: @escaping (URLSession.ResponseDisposition) -> Void
  ) {
    let answer = response as? HTTPURLResponse
    let refusal = lock.withLock { () -> Outcome? in
      switch answer?.statusCode ?? 0 {
      case 206 where written > 0 && startsWhereAsked(answer): return open()
      case 200:
        written = 0
        return open()
      case 416: return .nothingMore
      case let code: return .status(code)
      }
    }
    if let refusal { lock.withLock { verdict = refusal } }
    completionHandler(refusal == nil ? .allow : .cancel)
  }

  func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
    let now = lock.withLock { () -> Int? in
      guard verdict == nil, let handle else { return nil }
      guard data.count <= expectedSize - written else {
        verdict = .tooLong
        return nil
      }
      do {
        try handle.write(contentsOf: data)
      } catch {
        verdict = .unwritable(FileReading.reason(error))
        return nil
      }
      written += data.count
      return written
    }
    if let now { progress(now) } else { dataTask.cancel() }
  }

  func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
    let (waiting, outcome) = lock.withLock { () -> (CheckedContinuation<Outcome, Never>?, Outcome) in
      try? handle?.close()
      handle = nil
      let waiting = continuation
      continuation = nil
      if let verdict { return (waiting, verdict) }
      return (waiting, error.map { .failed(FileReading.reason($0)) } ?? .complete)
    }
    waiting?.resume(returning: outcome)
  }

  // Opens the file for appending, or empty when nothing of it is kept.
  private func open() -> Outcome? {
    do {
      if written == 0 || !FileManager.default.fileExists(atPath: path) {
        written = 0
      }
      // Not through a link that somebody put there.
      let descriptor = Foundation.open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o666)
      guard descriptor >= 0 else { return .unwritable(String(cString: strerror(errno))) }
      let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
      try handle.truncate(atOffset: UInt64(written))
      try handle.seek(toOffset: UInt64(written))
      self.handle = handle
      return nil
    } catch { return .unwritable(FileReading.reason(error)) }
  }

  // Whether a 206 answer continues at the byte asked for: "Content-Range: bytes 500-999/1000".
  private func startsWhereAsked(_ answer: HTTPURLResponse?) -> Bool {
    guard let range = answer?.value(forHTTPHeaderField: "Content-Range") else { return false }
    let start = range.drop { !$0.isNumber }.prefix { $0.isNumber }
    return Int(start) == written
  }
}
