// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Datasets

/// Files that are not files, names that are no text, pictures that take for ever.
@Suite struct HostileFileTests {
  let folder: Scratch
  let fixtures: PictureFixtures

  init() throws {
    folder = try Scratch()
    fixtures = try PictureFixtures.load()
    try fixtures.writeFolder(at: folder.url.path)
  }

  private func load(_ change: (inout DatasetOptions) -> Void = { _ in }) throws -> Dataset {
    var options = DatasetOptions()
    (options.imageSize, options.resize) = (21, 26)
    change(&options)
    return try DatasetLoader.load(name: "folder", split: .train, directory: folder.url.path, options: options)
  }

  /// Nobody waits for a pipe, nor reads a device without end.
  @Test func pipesAndDevicesAreNoPictures() throws {
    #expect(mkfifo(folder.path("train/cat/pipe.jpg"), 0o600) == 0)
    expectError("train/cat/pipe.jpg cannot be used", "not a regular file") { _ = try load() }
    try FileManager.default.removeItem(atPath: folder.path("train/cat/pipe.jpg"))
    #expect(symlink("/dev/zero", folder.path("train/dog/zero.png")) == 0)
    expectError("train/dog/zero.png cannot be used", "not a regular file") { _ = try load() }
    let left = try load { $0.skipsBadImages = true }
    #expect(left.count == 12 && left.skipped.map(\.path) == ["train/dog/zero.png"])
  }

  @Test(arguments: ["labels.npy", "labels.csv", "labels.u8", "images.idx"])
  func pipesAreNoTables(_ name: String) throws {
    let path = folder.path(name)
    #expect(mkfifo(path, 0o600) == 0)
    expectError(name, "not a regular file") {
      if name.hasSuffix("idx") {
        _ = try IDXFile.read(path: path)
      } else {
        _ = try ExternalLabels.load(from: path, expectedCount: 20, classCount: 10)
      }
    }
  }

  /// A class folder whose name is no text does not vanish.
  @Test(arguments: ["train", "train/cat"]) func namesThatAreNoTextAreNamed(_ parent: String) throws {
    let path = (Array(folder.path(parent).utf8) + Array("/caf".utf8) + [0xE9, 0]).map { CChar(bitPattern: $0) }
    let made = mkdir(path, 0o700)
    #expect(made == 0)
    expectError(parent, "not UTF-8: caf\\xE9", "Rename it") { _ = try load() }
  }

  @Test func aLoopOfLinksIsNamed() throws {
    #expect(symlink("..", folder.path("train/cat/more/up")) == 0)
    expectError("train/cat/more/up is a link to a folder that it lies in") { _ = try load() }
    try FileManager.default.removeItem(atPath: folder.path("train/cat/more/up"))
    // Two folders that lead to each other.
    #expect(symlink("../../dog", folder.path("train/cat/more/dog")) == 0)
    #expect(try load().count == 18)
    #expect(symlink("../cat/more", folder.path("train/dog/cat")) == 0)
    expectError("is a link to a folder that it lies in") { _ = try load() }
  }

  /// Each scan of a progressive picture costs a pass over it.
  @Test func aPictureOfTooManyScansIsRefused() throws {
    let picture = try fixtures.data("progressive")
    let bytes = [UInt8](picture)
    let start = try #require(bytes.indices.dropLast().last { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xDA })
    let (head, scan) = (bytes[..<(bytes.count - 2)], bytes[start..<(bytes.count - 2)])
    func write(_ count: Int) throws {
      let scans = (0..<count).reduce(into: [UInt8]()) { all, _ in all += scan }
      try folder.write(head + scans + [0xFF, 0xD9], "train/cat/many.jpg")
    }
    try write(20_000)
    let time = ContinuousClock().measure {
      expectError("train/cat/many.jpg cannot be used", "more scans than can be read") { _ = try load() }
    }
    #expect(time < .seconds(5))
    try write(20)
    #expect(try load().count == 13)
  }

  /// Texts beside the pixels are not unpacked, and not without end.
  @Test func piecesBesideThePixelsAreBounded() throws {
    let bytes = [UInt8](try fixtures.data("rgb-png"))
    // Behind the header, which is 8 + 25 bytes long. A wrong sum of a piece that is passed over is no matter.
    func with(_ count: Int) -> [UInt8] {
      let text: [UInt8] = [0, 0, 0, 4] + Array("tEXt".utf8) + Array("a\u{0}bc".utf8) + [0x1B, 0x2C, 0x3D, 0x4E]
      return bytes[..<33] + (0..<count).flatMap { _ in text } + bytes[33...]
    }
    try folder.write(with(10_001), "train/cat/many.png")
    expectError("train/cat/many.png cannot be used", "more than 10000 pieces") { _ = try load() }
    let plain = try load { $0.skipsBadImages = true }
    try folder.write(bytes, "train/cat/many.png")
    let expected = try load().imageTensor(at: [6]).values(as: Float.self)
    try folder.write(with(3000), "train/cat/many.png")
    #expect(try load().imageTensor(at: [6]).values(as: Float.self) == expected)
    #expect(plain.count == 12)
  }
}

/// Two downloads into one folder, and links in the place of parts.
@Suite(.enabled(if: LocalServer.python != nil, "python3 is needed for the local server"))
struct FetchNeighbourTests {
  private func entry(_ server: LocalServer) -> DatasetEntry {
    let file = DatasetFile(
      name: "a.gz", size: 3, sha256: "039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81", split: .train,
      role: .images)
    return DatasetEntry(
      name: "made-up", title: "", citation: "", exampleShape: [1, 1, 1], classNames: ["0"], counts: [:], files: [file],
      mirrors: [server.address + "/plain"])
  }

  @Test func oneDownloadsAtATime() async throws {
    let folder = try Scratch()
    let server = try LocalServer(files: ["a.gz": [1, 2, 3]])
    let lock = try FetchLock(folder.url.path)
    await #expect(throws: DatasetError.self) { try await DatasetFetcher().fetch(entry(server), to: folder.url.path) }
    lock.release()
    try await DatasetFetcher().fetch(entry(server), to: folder.url.path)
    #expect(try folder.bytes("a.gz") == [1, 2, 3])
  }

  /// What a link in the place of the part leads to stays as it is.
  @Test func nothingIsWrittenThroughALink() async throws {
    let folder = try Scratch()
    let server = try LocalServer(files: ["a.gz": [1, 2, 3]])
    try folder.write("mine", "precious")
    #expect(symlink(folder.path("precious"), folder.path("a.gz.part")) == 0)
    do {
      try await DatasetFetcher().fetch(entry(server), to: folder.url.path)
      Issue.record("The link was followed.")
    } catch let error as DatasetError {
      #expect(error.description.contains("a.gz.part is not a regular file"), "\(error)")
    }
    #expect(try folder.text("precious") == "mine")
  }
}
