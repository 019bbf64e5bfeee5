// SPDX-License-Identifier: Apache-2.0

import CImageCodecs
import Crypto
import Foundation
import TestSupport
import Testing

@testable import Datasets

/// Decoding and resizing against Pillow and torchvision, every pixel.
@Suite struct ImageDecodingTests {
  let folder: Scratch
  let fixtures: PictureFixtures
  let decoder: ImageDecoder

  init() throws {
    folder = try Scratch()
    fixtures = try PictureFixtures.load()
    decoder = try ImageDecoder()
  }

  /// The planes that a view of a file has.
  func planes(_ data: Data, _ view: (ic_size) throws -> ic_view) throws -> [UInt8] {
    let path = try folder.write(data, "picture")
    var size = ic_size()
    try data.withUnsafeBytes { bytes in
      let start = try #require(bytes.bindMemory(to: UInt8.self).baseAddress)
      #expect(ic_read_size(start, bytes.count, &size).kind == IC_OK)
    }
    let shape = try view(size).cropped
    var result = [UInt8](repeating: 0, count: 3 * Int(shape.width) * Int(shape.height))
    try result.withUnsafeMutableBytes { try decoder.decode(path, into: $0, view: view) }
    return result
  }

  func whole(_ size: ic_size) -> ic_view {
    ic_view(source_left: 0, source_top: 0, source: size, scaled: size, left: 0, top: 0, cropped: size, mirrored: false)
  }

  func view(_ size: Int, resize: Int) throws -> (ic_size) throws -> ic_view {
    let transform = try ImageTransform(size: size, resize: resize)
    return { picture in
      var none: SeededGenerator?
      return try transform.view(of: picture, .none, &none)
    }
  }

  func sum(_ bytes: [UInt8]) -> String { String(hexadecimal(SHA256.hash(data: bytes)).prefix(16)) }

  @Test func equalsPillowAndTorchvision() throws {
    for picture in fixtures.pictures {
      #expect(try sum(planes(picture.data, whole)) == picture.decoded, "\(picture.name) decoded")
      let resized = try planes(picture.data, view(21, resize: 26))
      #expect(Array(resized.prefix(6)) == picture.first && sum(resized) == picture.resized, "\(picture.name) resized")
      #expect(try sum(planes(picture.data, view(64, resize: 64))) == picture.enlarged, "\(picture.name) enlarged")
    }
  }

  @Test func mirroredIsMirrored() throws {
    let plain = try planes(fixtures.data("tall"), whole)
    let mirrored = try planes(fixtures.data("tall")) { size in
      var view = whole(size)
      view.mirrored = true
      return view
    }
    let rows = stride(from: 0, to: plain.count, by: 31).map { Array(plain[$0..<$0 + 31].reversed()) }
    #expect(mirrored == rows.flatMap { $0 })
  }

  @Test func aPartAlone() throws {
    let plain = try planes(fixtures.data("rgb-png"), whole)
    let part = try planes(fixtures.data("rgb-png")) { _ in
      let size = ic_size(width: 10, height: 7)
      return ic_view(
        source_left: 5, source_top: 3, source: size, scaled: size, left: 0, top: 0, cropped: size, mirrored: false)
    }
    for channel in 0..<3 {
      for y in 0..<7 {
        let start = channel * 53 * 37 + (y + 3) * 53 + 5
        #expect(Array(part[(channel * 7 + y) * 10..<(channel * 7 + y + 1) * 10]) == Array(plain[start..<start + 10]))
      }
    }
  }

  @Test(arguments: [
    ("gif", "it is a GIF, neither JPEG nor PNG"), ("truncated", "truncated"),
    ("truncated-png", "truncated"),
  ])
  func refused(name: String, reason: String) throws {
    let path = try folder.write(fixtures.data(name), "picture.jpg")
    for look in [
      { try self.decoder.checkHeader(path) },
      {
        var room = [UInt8](repeating: 0, count: 3 * 21 * 21)
        let view = try self.view(21, resize: 26)
        try room.withUnsafeMutableBytes { try self.decoder.decode(path, into: $0, view: view) }
      },
    ] where name != "truncated-png" || reason == "truncated" {
      do {
        try look()
        #expect(name == "truncated-png", "\(name) passed")
      } catch let problem as ImageProblem {
        #expect(problem.reason.contains(reason), "\(problem.reason)")
      }
    }
  }

  @Test func otherFiles() throws {
    func reason(_ bytes: [UInt8]) throws -> String {
      let path = try folder.write(bytes, "file.png")
      do {
        try decoder.checkHeader(path)
        return "passed"
      } catch let problem as ImageProblem {
        return problem.reason
      }
    }
    #expect(try reason([]).contains("empty"))
    #expect(try reason(Array("hello".utf8)).contains("it is not a picture"))
    #expect(try reason([0xFF, 0xD8, 0xFF]).contains("truncated"))
    #expect(try reason(Array(Data("RIFF....WEBPVP8 ".utf8))).contains("it is a WebP"))
    // A PNG that announces 65 535 × 65 535 pixels.
    let header: [UInt8] = [0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 8, 2, 0, 0, 0]
    let bomb = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + header + crc(Array(header[4...]))
    #expect(try reason(bomb + [0, 0, 0, 0, 0x49, 0x44, 0x41, 0x54, 0x35, 0xAF, 0x06, 0x1E]).contains("65535 x 65535"))
    do {
      try decoder.checkHeader(folder.path("nowhere"))
      Issue.record("passed")
    } catch let problem as ImageProblem {
      #expect(problem.reason == "it cannot be read: No such file or directory")
    }
  }

  /// The checksum of a PNG chunk, most significant byte first.
  private func crc(_ bytes: [UInt8]) -> [UInt8] {
    var value: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      value ^= UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? (value >> 1) ^ 0xEDB8_8320 : value >> 1 }
    }
    return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: ~value >> $0) }
  }

  /// No damage may crash: every byte of a picture in turn is changed, and it is cut at many places.
  @Test(arguments: ["baseline", "progressive", "palette-png"]) func damageIsSurvived(name: String) throws {
    let data = try fixtures.data(name)
    let view = try view(8, resize: 8)
    var room = [UInt8](repeating: 0, count: 192)
    for place in stride(from: 0, to: data.count, by: 3) {
      var damaged = data
      damaged[place] ^= 0xFF
      for file in [damaged, data.prefix(place)] {
        let path = try folder.write(file, "picture")
        do {
          try room.withUnsafeMutableBytes { try decoder.decode(path, into: $0, view: view) }
        } catch is ImageProblem {}
      }
    }
  }
}
