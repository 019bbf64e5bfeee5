// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Datasets

/// Data sets of small pictures at another size, against Pillow's `resize(..., BILINEAR)`.
@Suite struct ResizingTests {
  private func plane(_ channel: Int) -> [UInt8] {
    (0..<16).map { UInt8(($0 / 4 * 37 + $0 % 4 * 61 + channel * 89) % 256) }
  }

  private func pictures(channels: Int, count: Int = 1) throws -> Dataset {
    let picture = (0..<channels).flatMap(plane)
    let bytes = (0..<count).flatMap { $0 == 0 ? picture : picture.reversed() }
    var data = try Dataset(
      name: "small", split: .train, exampleShape: [channels, 4, 4], classNames: ["a", "b"], images: ByteStorage(bytes),
      labels: Array(repeating: 1, count: count))
    data.normalization = .cifar10
    return data
  }

  @Test func enlargedInColour() throws {
    let data = try pictures(channels: 3, count: 2).resized(to: 7)
    #expect(data.exampleShape == [3, 7, 7] && data.labels == [1, 1] && data.normalization == .cifar10)
    let expected: [UInt8] = [
      0, 22, 57, 92, 126, 161, 183, 13, 35, 70, 105, 139, 174, 196, 34, 56, 91, 126, 160, 195, 217, 56, 78, 113, 148,
      173, 135, 111, 77, 99, 134, 169, 185, 74, 4, 98, 120, 155, 190, 206, 95, 25, 111, 133, 168, 203, 219, 108, 38,
    ]
    let blue: [UInt8] = [
      178, 200, 235, 142, 48, 83, 105, 191, 180, 163, 109, 61, 96, 118, 212, 149, 48, 57, 82, 117, 139, 234, 164, 53,
      70, 104, 139, 161, 236, 173, 72, 91, 125, 160, 182, 111, 100, 83, 112, 146, 181, 203, 33, 55, 90, 125, 159, 194,
      216,
    ]
    #expect(Array(bytes(data.images)[..<49]) == expected)
    #expect(Array(bytes(data.images)[98..<147]) == blue)
    #expect(bytes(data.images).count == 2 * 3 * 49)
  }

  @Test func reducedInGrey() throws {
    let data = try pictures(channels: 1).resized(to: 3)
    #expect(bytes(data.images) == [29, 103, 176, 74, 148, 131, 118, 192, 85])
  }

  @Test func theSameSizeIsLeftAlone() throws {
    #expect(bytes(try pictures(channels: 3).resized(to: 4).images) == bytes(try pictures(channels: 3).images))
    #expect(try pictures(channels: 1).resized(to: nil).exampleShape == [1, 4, 4])
  }

  @Test func whatCannotBe() throws {
    expectError("image-size", "0") { _ = try pictures(channels: 1).resized(to: 0) }
    expectError("Example 0", "one or three channels") { _ = try pictures(channels: 2).resized(to: 5) }
  }

  @Test func byName() throws {
    var options = DatasetOptions()
    options.imageSize = 40
    let data = try DatasetLoader.load(name: "digits", split: .test, count: 3, options: options)
    #expect(data.exampleShape == [1, 40, 40] && data.count == 3)
  }
}
