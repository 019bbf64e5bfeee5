// SPDX-License-Identifier: Apache-2.0

import CImageCodecs
import Foundation
import TestSupport
import Testing

@testable import Datasets

@Suite struct PictureSheetTests {
  let folder: Scratch

  init() throws { folder = try Scratch() }

  /// The pixels of a file as [height][width][3].
  private func pixels(_ png: Data, width: Int, height: Int) throws -> [[[UInt8]]] {
    let path = try folder.write(png, "read.png")
    let decoder = try ImageDecoder()
    let size = try decoder.open(path)
    try #require(Int(size.width) == width && Int(size.height) == height)
    var view = ic_view()
    (view.source, view.scaled, view.cropped) = (size, size, size)
    var planes = [UInt8](repeating: 0, count: 3 * width * height)
    try planes.withUnsafeMutableBytes { try decoder.show(view, into: $0) }
    return (0..<height).map { y in
      (0..<width).map { x in (0..<3).map { planes[$0 * width * height + y * width + x] } }
    }
  }

  private func dataset(channels: Int, height: Int, width: Int, count: Int = 7) throws -> Dataset {
    let size = channels * height * width
    let bytes = (0..<count * size).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ $0 / size &* 11) }
    return try Dataset(
      name: "made", split: .train, exampleShape: [channels, height, width], classNames: ["a", "b"],
      images: ByteStorage(bytes), labels: (0..<count).map { $0 % 2 })
  }

  /// A pixel of an example as red, green and blue.
  private func pixel(_ data: Dataset, _ index: Int, _ y: Int, _ x: Int) -> [UInt8] {
    let (channels, height, width) = (data.exampleShape[0], data.exampleShape[1], data.exampleShape[2])
    return (0..<3).map { channel in
      bytes(data.images)[((index * channels + min(channel, channels - 1)) * height + y) * width + x]
    }
  }

  // MARK: - PNG

  @Test(arguments: [1, 3]) func whatIsWrittenIsRead(channels: Int) throws {
    for (width, height) in [(1, 1), (7, 3), (1, 40), (61, 2), (130, 97)] {
      let written = (0..<width * height * channels).map { UInt8(truncatingIfNeeded: $0 &* 97 &+ $0 / 13) }
      let png = try PNGEncoder.encode(written, width: width, height: height, channels: channels)
      #expect(Array(png.prefix(8)) == [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
      // Bits a channel, and the kind of colour.
      #expect(Array(png[24...25]) == [8, channels == 1 ? 0 : 2])
      let read = try pixels(png, width: width, height: height)
      let expected = (0..<height).map { y in
        (0..<width).map { x in
          (0..<3).map { written[(y * width + x) * channels + min($0, channels - 1)] }
        }
      }
      #expect(read == expected, "\(width) x \(height)")
    }
  }

  @Test func whatIsNoPictureIsRefused() {
    expectError("5 bytes", "2 x 2") {
      _ = try PNGEncoder.encode(Array(repeating: 0, count: 5), width: 2, height: 2, channels: 1)
    }
    expectError("one or three channels") { _ = try PNGEncoder.encode([0, 0], width: 1, height: 1, channels: 2) }
    expectError("cannot be written") { _ = try PNGEncoder.encode([], width: 0, height: 4, channels: 1) }
    expectError("bytes are not a picture") { _ = try PNGEncoder.encode([], width: -1, height: -1, channels: 1) }
    expectError("cannot be written", "Invalid IHDR") {
      _ = try PNGEncoder.encode(Array(repeating: 0, count: 1_000_001), width: 1_000_001, height: 1, channels: 1)
    }
  }

  // MARK: - Layout

  @Test(arguments: [1, 3]) func placesAndEnlargement(channels: Int) throws {
    let data = try dataset(channels: channels, height: 4, width: 4)
    let sheet = try PictureSheet(side: 8, columns: 3, rows: 2)
    let indices = [6, 0, 3, 2]
    let (png, unreadable) = try sheet.png(of: indices, in: data)
    #expect(unreadable.isEmpty && sheet.capacity == 6)
    #expect(png[25] == (channels == 1 ? 0 : 2))
    let read = try pixels(png, width: 24, height: 16)
    for y in 0..<16 {
      for x in 0..<24 {
        let place = y / 8 * 3 + x / 8
        let expected = place < indices.count ? pixel(data, indices[place], y % 8 / 2, x % 8 / 2) : [240, 240, 240]
        try #require(read[y][x] == expected, "(\(x), \(y))")
      }
    }
  }

  @Test func enlargementByNoWholeFactor() throws {
    let data = try dataset(channels: 1, height: 3, width: 3, count: 1)
    let read = try pixels(PictureSheet(side: 7, columns: 1, rows: 1).png(of: [0], in: data).png, width: 7, height: 7)
    for y in 0..<7 {
      for x in 0..<7 { #expect(read[y][x] == pixel(data, 0, y * 3 / 7, x * 3 / 7)) }
    }
  }

  /// Of a wide picture all with margins, or the central square.
  @Test func wideAndTallPictures() throws {
    let wide = try dataset(channels: 3, height: 2, width: 6, count: 1)
    let whole = try pixels(PictureSheet(side: 6, columns: 1, rows: 1).png(of: [0], in: wide).png, width: 6, height: 6)
    let square = try pixels(
      PictureSheet(side: 4, columns: 1, rows: 1, fit: .square).png(of: [0], in: wide).png, width: 4, height: 4)
    for y in 0..<6 {
      for x in 0..<6 { #expect(whole[y][x] == ((2..<4).contains(y) ? pixel(wide, 0, y - 2, x) : [240, 240, 240])) }
    }
    for y in 0..<4 {
      for x in 0..<4 { #expect(square[y][x] == pixel(wide, 0, y / 2, 2 + x / 2)) }
    }
    let tall = try dataset(channels: 1, height: 5, width: 1, count: 1)
    let thin = try pixels(PictureSheet(side: 5, columns: 1, rows: 1).png(of: [0], in: tall).png, width: 5, height: 5)
    for y in 0..<5 {
      for x in 0..<5 { #expect(thin[y][x] == (x == 2 ? pixel(tall, 0, y, 0) : [240, 240, 240])) }
    }
  }

  /// Reduction is that of `resized(to:)`, which equals Pillow's.
  @Test func reduction() throws {
    let data = try dataset(channels: 3, height: 20, width: 20, count: 3)
    let small = try data.resized(to: 6)
    let read = try pixels(
      PictureSheet(side: 6, columns: 3, rows: 1).png(of: [0, 1, 2], in: data).png, width: 18, height: 6)
    for y in 0..<6 {
      for x in 0..<18 { #expect(read[y][x] == pixel(small, x / 6, y, x % 6)) }
    }
  }

  @Test func measuresAreChecked() throws {
    for (side, columns, rows) in [(0, 1, 1), (1, 0, 1), (1, 1, -3), (100, 100, 1), (Int.max, 2, 2)] {
      expectError("cannot be drawn", "8192") { _ = try PictureSheet(side: side, columns: columns, rows: rows) }
    }
    let sheet = try PictureSheet(side: 4, columns: 2, rows: 2)
    let data = try dataset(channels: 1, height: 2, width: 2)
    expectError("5 pictures do not fit a sheet of 2 x 2") { _ = try sheet.png(of: [0, 1, 2, 3, 4], in: data) }
    expectError("Example 7", "0 to 6") { _ = try sheet.png(of: [0, 7], in: data) }
    expectError("Example -1") { _ = try sheet.png(of: [-1], in: data) }
    expectError("made", "[2, 2, 2]", "one or three channels") {
      _ = try sheet.png(of: [0], in: dataset(channels: 2, height: 2, width: 2))
    }
  }

  // MARK: - Files

  private func pictures() throws -> Dataset {
    try PictureFixtures.load().writeFolder(at: folder.path("pictures"))
    var options = DatasetOptions()
    (options.imageSize, options.resize, options.maximumBytesInMemory) = (21, 26, 0)
    return try DatasetLoader.load(name: "folder", split: .train, directory: folder.path("pictures"), options: options)
  }

  @Test func picturesThatVanishHaveAPlaceholder() throws {
    let data = try pictures()
    let sheet = try PictureSheet(side: 16, columns: 4, rows: 3)
    let before = try sheet.png(of: Array(0..<12), in: data)
    #expect(before.unreadable.isEmpty)
    try FileManager.default.removeItem(atPath: folder.path("pictures/train/cat/c.jpeg"))
    try folder.write("no picture", "pictures/train/dog/5.jpg")
    let after = try sheet.png(of: Array(0..<12), in: data)
    #expect(
      after.unreadable == [
        UnreadablePicture(index: 3, file: "train/cat/c.jpeg", reason: "it cannot be read: No such file or directory"),
        UnreadablePicture(index: 10, file: "train/dog/5.jpg", reason: "it is not a picture, neither JPEG nor PNG"),
      ])
    let (old, new) = (
      try pixels(before.png, width: 64, height: 48), try pixels(after.png, width: 64, height: 48)
    )
    for y in 0..<48 {
      for x in 0..<64 {
        let place = y / 16 * 4 + x / 16
        if place == 3 || place == 10 {
          let (row, column) = (y % 16, x % 16)
          let isLine = [0, 15].contains(row) || [0, 15].contains(column) || row == column || row + column == 15
          try #require(new[y][x] == Array(repeating: isLine ? 150 : 240, count: 3))
        } else {
          try #require(new[y][x] == old[y][x])
        }
      }
    }
  }
}
