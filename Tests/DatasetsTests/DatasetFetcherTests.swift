// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import Synchronization
import Testing
import TestSupport

@testable import Datasets

/// The events of a download, collected from any thread.
private final class Recorder: Sendable {
  private let events = Mutex<[DatasetFetcher.Event]>([])
  var all: [DatasetFetcher.Event] { events.withLock { $0 } }
  var offsets: [Int] {
    all.compactMap { if case .started(_, _, let offset) = $0 { offset } else { nil } }
  }
  var reasons: [String] {
    all.compactMap { if case .failed(_, _, let reason) = $0 { reason } else { nil } }
  }
  func record(_ event: DatasetFetcher.Event) { events.withLock { $0.append(event) } }
}

@Suite(.enabled(if: LocalServer.python != nil, "python3 is needed for the local server"), .serialized)
final class DatasetFetcherTests {
  let folder: Scratch
  let server: LocalServer
  let content: [UInt8]
  let fetcher = DatasetFetcher(attemptsPerMirror: 3, retryDelay: 0.01, timeout: 5)
  private let recorder = Recorder()

  init() throws {
    var generator = SeededGenerator(seed: 1)
    content = (0..<300_000).map { _ in UInt8(generator.integer(below: 256)) }
    folder = try Scratch()
    server = try LocalServer(files: ["a.gz": content, "b.gz": [1, 2, 3]])
  }

  func entry(_ modes: String..., names: [String] = ["a.gz"]) -> DatasetEntry {
    let files = names.map { name in
      let bytes = name == "b.gz" ? [1, 2, 3] : content
      return DatasetFile(
        name: name, size: bytes.count, sha256: hexadecimal(SHA256.hash(data: bytes)), split: .train, role: .images)
    }
    return DatasetEntry(
      name: "made-up", title: "", citation: "", exampleShape: [1, 1, 1], classNames: ["0"], counts: [:], files: files,
      mirrors: modes.map { server.address + "/" + $0 })
  }

  func fetch(_ entry: DatasetEntry, mirror: String? = nil, replace: Bool = false) async throws {
    let recorder = recorder
    try await fetcher.fetch(entry, to: folder.url.path, mirror: mirror, replace: replace) { recorder.record($0) }
  }

  func expectFetched() throws {
    #expect(try folder.bytes("a.gz") == content)
    #expect(!FileManager.default.fileExists(atPath: folder.path("a.gz.part")))
    #expect(recorder.all.last == .finished(file: "a.gz"))
  }

  func expectFailure(_ entry: DatasetEntry, mirror: String? = nil, _ parts: String...) async {
    do {
      try await fetch(entry, mirror: mirror)
      Issue.record("No error was thrown.")
    } catch {
      let text = (error as? DatasetError)?.description ?? "not a DatasetError: \(error)"
      for part in parts { #expect(text.contains(part), "\(text)") }
    }
    #expect(!FileManager.default.fileExists(atPath: folder.path("a.gz")))
  }

  @Test func plainDownload() async throws {
    try await fetch(entry("good", names: ["a.gz", "b.gz"]))
    #expect(try folder.bytes("a.gz") == content)
    #expect(try folder.bytes("b.gz") == [1, 2, 3])
    #expect(recorder.all.contains(.progress(file: "a.gz", received: 300_000, total: 300_000)))
    #expect(server.requests == ["good/a.gz -", "good/b.gz -"])
    try await fetch(entry("good", names: ["a.gz", "b.gz"]))
    #expect(recorder.all.suffix(2) == [.alreadyPresent(file: "a.gz"), .alreadyPresent(file: "b.gz")])
    #expect(server.requests.count == 2)
  }

  @Test func resumesWhereItStopped() async throws {
    try folder.write(content.prefix(123_456), "a.gz.part")
    try await fetch(entry("good"))
    try expectFetched()
    #expect(server.requests == ["good/a.gz bytes=123456-"])
    #expect(recorder.offsets == [123_456])
  }

  @Test func wholePartIsOnlyMoved() async throws {
    try folder.write(content, "a.gz.part")
    try await fetch(entry("good"))
    try expectFetched()
    #expect(server.requests.isEmpty)
  }

  @Test func serverThatIgnoresRanges() async throws {
    try folder.write(content.prefix(1000), "a.gz.part")
    try await fetch(entry("norange"))
    try expectFetched()
    #expect(server.requests.count == 1)
  }

  @Test func stalePartIsFetchedFromTheStart() async throws {
    try folder.write([UInt8](repeating: 9, count: 1000), "a.gz.part")
    try await fetch(entry("good"))
    try expectFetched()
    #expect(recorder.offsets == [1000, 0])
    #expect(recorder.reasons.first?.contains("checksum mismatch") == true)
  }

  @Test func partThatIsTooLongIsDropped() async throws {
    try folder.write([UInt8](repeating: 9, count: 400_000), "a.gz.part")
    try await fetch(entry("good"))
    try expectFetched()
    #expect(recorder.offsets == [0])
  }

  @Test(arguments: ["unsatisfiable", "shifted"]) func serverThatCannotResume(mode: String) async throws {
    try folder.write(content.prefix(1000), "a.gz.part")
    try await fetch(entry(mode, "good"))
    try expectFetched()
  }

  @Test func connectionCutMidway() async throws {
    try await fetch(entry("cut"))
    try expectFetched()
    #expect(server.requests.count == 2)
    #expect(recorder.offsets.first == 0)
    #expect(recorder.offsets.last == 150_000)
  }

  @Test func serverThatIsBusyAtFirst() async throws {
    try await fetch(entry("busy"))
    try expectFetched()
    #expect(recorder.reasons == ["the server failed (HTTP 503)"])
  }

  @Test(arguments: ["corrupt", "missing", "long", "forbidden", "cutalways", "short"])
  func nextMirrorHelps(mode: String) async throws {
    try await fetch(entry(mode, "good"))
    try expectFetched()
    #expect(!recorder.reasons.isEmpty)
  }

  @Test func serverThatFallsSilent() async throws {
    let recorder = recorder
    let impatient = DatasetFetcher(attemptsPerMirror: 1, retryDelay: .nan, timeout: 1)
    try await impatient.fetch(entry("hang", "good"), to: folder.url.path) { recorder.record($0) }
    try expectFetched()
    #expect(recorder.offsets == [0, 10])
  }

  @Test func corruptMirror() async {
    await expectFailure(entry("corrupt"), "/corrupt: checksum mismatch", "--mirror URL")
    #expect(server.requests.count == 1)
    #expect(!FileManager.default.fileExists(atPath: folder.path("a.gz.part")))
  }

  @Test func missingFile() async {
    await expectFailure(
      entry("missing", "forbidden"), "/missing: a.gz was not found (HTTP 404)",
      "/forbidden: the server refused (HTTP 403)")
    #expect(server.requests.count == 2)
  }

  @Test func connectionAlwaysCutEndsAndKeepsThePart() async throws {
    await expectFailure(entry("cutalways"), "/cutalways")
    #expect(server.requests.count == 3)
    #expect(try folder.bytes("a.gz.part") == Array(content.prefix(30)))
  }

  @Test func nobodyListens() async {
    await expectFailure(entry(), mirror: "http://127.0.0.1:9", "127.0.0.1:9", "Check the network")
  }

  @Test(arguments: ["", "ftp://example.org", "file:///etc", "no address", "http://"])
  func addressesThatAreNone(mirror: String) async {
    await expectFailure(entry("good"), mirror: mirror, "is not a web address")
  }

  @Test func mirrorOverride() async throws {
    try await fetch(entry("missing"), mirror: server.address + "/good/")
    try expectFetched()
    #expect(server.requests == ["good/a.gz -"])
  }

  @Test func anotherFileOfThatNameIsKept() async throws {
    try folder.write([1, 2, 3], "a.gz")
    do {
      try await fetch(entry("good"))
      Issue.record("No error was thrown.")
    } catch let error as DatasetError {
      #expect(error.description.contains("already exists"))
    }
    #expect(try folder.bytes("a.gz") == [1, 2, 3])
    try await fetch(entry("good"), replace: true)
    try expectFetched()
  }

  @Test func folderThatCannotBeMade() async throws {
    let path = try folder.write([1], "file")
    do {
      try await fetcher.fetch(entry("good"), to: path + "/below")
      Issue.record("No error was thrown.")
    } catch let error as DatasetError {
      #expect(error.description.contains("cannot be created"))
    }
  }

  @Test func archiveIsUnpackedIntoItsFolder() async throws {
    let plain = TarTests.member("made-up-bin/x.bin", Array(1...100)) + TarTests.member("made-up-bin/y.bin", [7, 8])
    let packed = try Gzip.deflate(Data(plain + [UInt8](repeating: 0, count: 1024)))
    let server = try LocalServer(files: ["z.tar.gz": [UInt8](packed)])
    func entry(md5: String, ySize: Int = 2) -> DatasetEntry {
      let files = [("x.bin", 100), ("y.bin", ySize)].map {
        DatasetFile(name: $0.0, size: $0.1, sha256: nil, split: .train, role: .examples)
      }
      return DatasetEntry(
        name: "made-up", title: "", citation: "", exampleShape: [1, 1, 1], classNames: ["0"], counts: [:], files: files,
        mirrors: [server.address + "/good"],
        archive: DatasetArchive(name: "z.tar.gz", size: packed.count, md5: md5, folder: "made-up-bin"))
    }
    let sum = hexadecimal(Insecure.MD5.hash(data: packed))
    do {
      try await fetch(entry(md5: String(repeating: "0", count: 32)))
      Issue.record("No error was thrown.")
    } catch let error as DatasetError {
      #expect(error.description.contains("checksum mismatch (MD5 \(sum)"))
    }
    try await fetch(entry(md5: sum))
    #expect(try folder.bytes("made-up-bin/x.bin") == Array(1...100))
    #expect(try folder.bytes("made-up-bin/y.bin") == [7, 8])
    #expect(!FileManager.default.fileExists(atPath: folder.path("z.tar.gz")))
    let requests = server.requests.count
    try await fetch(entry(md5: sum))
    #expect(recorder.all.last == .alreadyPresent(file: "y.bin") && server.requests.count == requests)
    do {
      try await fetch(entry(md5: sum, ySize: 3))
      Issue.record("No error was thrown.")
    } catch let error as DatasetError {
      #expect(error.description.contains("y.bin already exists") && error.description.contains("--force"))
    }
  }

  @Test func builtInDataNeedsNothing() async throws {
    try await fetch(DatasetCatalog.digits)
    #expect(recorder.all.isEmpty)
  }

  @Test func cancelling() async throws {
    let (fetcher, entry, path) = (fetcher, entry("good"), folder.url.path)
    let task = Task { try await fetcher.fetch(entry, to: path) }
    task.cancel()
    await #expect(throws: (any Error).self) { try await task.value }
  }
}
