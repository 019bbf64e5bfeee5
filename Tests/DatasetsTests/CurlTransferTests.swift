// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import Synchronization
import Testing
import TestSupport

@testable import Datasets

/// Downloads by the program `curl`, as builds without FoundationNetworking make them, from a server that misbehaves.
@Suite(
  .enabled(if: LocalServer.python != nil && CurlTransfer.program != nil, "python3 and curl are needed"), .serialized)
final class CurlTransferTests {
  private final class Events: Sendable {
    private let events = Mutex<[DatasetFetcher.Event]>([])
    var all: [DatasetFetcher.Event] { events.withLock { $0 } }
    func append(_ event: DatasetFetcher.Event) { events.withLock { $0.append(event) } }
    var offsets: [Int] { all.compactMap { if case .started(_, _, let offset) = $0 { offset } else { nil } } }
    var reasons: [String] { all.compactMap { if case .failed(_, _, let reason) = $0 { reason } else { nil } } }
  }

  let folder: Scratch
  let server: LocalServer
  let content: [UInt8]
  private let events = Events()

  init() throws {
    var generator = SeededGenerator(seed: 2)
    content = (0..<300_000).map { _ in UInt8(generator.integer(below: 256)) }
    folder = try Scratch()
    server = try LocalServer(files: ["a.gz": content])
  }

  private func fetch(_ modes: String..., mirror: String? = nil, attempts: Int = 3, timeout: Double = 5) async throws {
    let (fetcher, entry) = fetcher(modes, attempts: attempts, timeout: timeout)
    let events = events
    try await fetcher.fetch(entry, to: folder.url.path, mirror: mirror) { events.append($0) }
  }

  private func fetcher(_ modes: [String], attempts: Int = 3, timeout: Double) -> (DatasetFetcher, DatasetEntry) {
    let file = DatasetFile(
      name: "a.gz", size: content.count, sha256: hexadecimal(SHA256.hash(data: content)), split: .train, role: .images)
    let entry = DatasetEntry(
      name: "made-up", title: "", citation: "", exampleShape: [1, 1, 1], classNames: ["0"], counts: [:], files: [file],
      mirrors: modes.map { server.address + "/" + $0 })
    var fetcher = DatasetFetcher(attemptsPerMirror: attempts, retryDelay: 0.01, timeout: timeout)
    fetcher.usesCurl = true
    return (fetcher, entry)
  }

  private func expectFetched() throws {
    #expect(try folder.bytes("a.gz") == content)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["a.gz"])
    #expect(events.all.last == .finished(file: "a.gz"))
  }

  @Test func plainDownload() async throws {
    try await fetch("good")
    try expectFetched()
    #expect(events.all.contains(.progress(file: "a.gz", received: 300_000, total: 300_000)))
    #expect(server.requests == ["good/a.gz -"])
  }

  @Test func resumesWhereItStopped() async throws {
    try folder.write(content.prefix(123_456), "a.gz.part")
    try await fetch("good")
    try expectFetched()
    #expect(server.requests == ["good/a.gz bytes=123456-"])
  }

  @Test(arguments: ["norange", "shifted", "unsatisfiable"]) func partThatCannotBeContinued(mode: String) async throws {
    try folder.write(content.prefix(1000), "a.gz.part")
    try await fetch(mode)
    try expectFetched()
  }

  @Test func connectionCutMidway() async throws {
    try await fetch("cut")
    try expectFetched()
    #expect(events.offsets == [0, 150_000])
    #expect(events.reasons.count == 1 && !events.reasons[0].contains("curl: ("), "\(events.reasons)")
  }

  @Test(arguments: ["corrupt", "missing", "long", "forbidden", "cutalways", "short"])
  func nextMirrorHelps(mode: String) async throws {
    try await fetch(mode, "good")
    try expectFetched()
    #expect(!events.reasons.isEmpty)
  }

  @Test func serverThatIsBusyAtFirst() async throws {
    try await fetch("busy")
    try expectFetched()
    #expect(events.reasons == ["the server failed (HTTP 503)"])
  }

  @Test func serverThatFallsSilent() async throws {
    try await fetch("hang", "good", attempts: 1, timeout: 1)
    try expectFetched()
    #expect(events.offsets == [0, 10])
  }

  @Test func whatFailedIsSaid() async {
    for (mirror, words) in [
      (server.address + "/missing", "a.gz was not found (HTTP 404)"), ("http://127.0.0.1:9", "Failed to connect"),
    ] {
      do {
        try await fetch("good", mirror: mirror)
        Issue.record("No error was thrown.")
      } catch {
        #expect("\(error)".contains(words), "\(error)")
      }
    }
  }

  @Test func cancellingStopsIt() async throws {
    let (fetcher, entry) = fetcher(["hang"], timeout: 60)
    let (events, path) = (events, folder.url.path)
    let task = Task { try await fetcher.fetch(entry, to: path) { events.append($0) } }
    while events.all.isEmpty { try await Task.sleep(nanoseconds: 1_000_000) }
    let start = Date()
    task.cancel()
    await #expect(throws: (any Error).self) { try await task.value }
    #expect(Date().timeIntervalSince(start) < 20)
  }
}
