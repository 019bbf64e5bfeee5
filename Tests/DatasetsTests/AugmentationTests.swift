// SPDX-License-Identifier: Apache-2.0

import CImageCodecs
import Testing

@testable import Datasets

@Suite struct AugmentationTests {
  @Test func words() throws {
    #expect(try Augmentation("none") == .none)
    #expect(try Augmentation("flip") == Augmentation(flips: true, crop: .none))
    #expect(try Augmentation("crop") == Augmentation(flips: false, crop: .shifted))
    #expect(try Augmentation("flip+crop") == Augmentation("crop+flip"))
    #expect(try Augmentation("random-resized-crop+flip") == Augmentation(flips: true, crop: .resized))
    for word in ["", "flop", "flip+", "flip+flip", "crop+random-resized-crop", "none+flip"] {
      expectError("augment must be none, flip, crop, random-resized-crop", "\"\(word)\"") { _ = try Augmentation(word) }
    }
  }

  func apply(_ word: String, to image: [UInt8], shape: [Int], index: Int) throws -> [UInt8] {
    var generator = Augmentation.generator(seed: 1, epoch: 2, index: index)
    var result = [UInt8](repeating: 77, count: image.count)
    let augmentation = try Augmentation(word)
    image.withUnsafeBytes { source in
      result.withUnsafeMutableBytes { augmentation.apply(&generator, to: source, shape: shape, into: $0) }
    }
    return result
  }

  /// Every result is the image moved by at most four pixels, black coming in, mirrored or not; all 162 kinds occur.
  @Test func smallImagesAreShiftedAndMirrored() throws {
    let (width, height) = (7, 6)
    let image = (0..<2 * width * height).map { UInt8($0 + 1) }
    func moved(_ down: Int, _ right: Int, _ mirrored: Bool) -> [UInt8] {
      (0..<image.count).map { place in
        let (plane, rest) = (place / (width * height), place % (width * height))
        let column = mirrored ? width - 1 - rest % width : rest % width
        let (y, x) = (rest / width + down, column + right)
        return y >= 0 && y < height && x >= 0 && x < width ? image[(plane * height + y) * width + x] : 0
      }
    }
    var kinds: [[UInt8]: Int] = [:]
    for down in -4...4 {
      for right in -4...4 { for mirrored in [false, true] { kinds[moved(down, right, mirrored)] = 0 } }
    }
    for index in 0..<3000 {
      kinds[try apply("flip+crop", to: image, shape: [2, height, width], index: index), default: -9999] += 1
    }
    #expect(kinds.count == 162 && kinds.values.allSatisfy { $0 > 0 })
    let flips = try (0..<1000).filter { try apply("flip", to: image, shape: [2, height, width], index: $0) != image }
      .count
    #expect(flips > 430 && flips < 570)
  }

  @Test func partsOfPhotographs() throws {
    let transform = try ImageTransform(size: 100, resize: 128)
    let picture = ic_size(width: 500, height: 375)
    var (smallest, largest, tops) = (1.0, 0.0, Set<Int32>())
    for index in 0..<2000 {
      var generator: SeededGenerator? = Augmentation.generator(seed: 1, epoch: 0, index: index)
      let view = try transform.view(of: picture, Augmentation("random-resized-crop"), &generator)
      let (w, h) = (Double(view.source.width), Double(view.source.height))
      #expect(w / h > 0.74 && w / h < 1.35)
      #expect(view.source_left >= 0 && view.source_left + view.source.width <= 500)
      #expect(view.source_top >= 0 && view.source_top + view.source.height <= 375)
      #expect(view.scaled.width == 100 && view.scaled.height == 100 && !view.mirrored)
      smallest = min(smallest, w * h / (500 * 375))
      largest = max(largest, w * h / (500 * 375))
      generator = Augmentation.generator(seed: 1, epoch: 0, index: index)
      let shifted = try transform.view(of: picture, Augmentation("flip+crop"), &generator)
      #expect(shifted.scaled.width == 170 && shifted.scaled.height == 128 && shifted.left <= 70 && shifted.top <= 28)
      tops.insert(shifted.top)
    }
    #expect(smallest < 0.1 && smallest > 0.078 && largest > 0.9 && tops.count == 29)
    // Too narrow for any such part: the largest in the middle.
    var generator: SeededGenerator? = Augmentation.generator(seed: 1, epoch: 0, index: 0)
    let narrow = try transform.view(
      of: ic_size(width: 900, height: 10), Augmentation("random-resized-crop"), &generator)
    #expect(narrow.source.width == 13 && narrow.source.height == 10 && narrow.source_left == 443)
    var none: SeededGenerator?
    expectError("too narrow") { _ = try transform.view(of: ic_size(width: 1, height: 60_000), .none, &none) }
  }

  @Test func exponentialAndLogarithm() {
    for step in -10...10 {
      let x = Double(step) / 10
      #expect(abs(ExactMath.logarithm(ExactMath.exponential(x)) - x) < 1e-14)
    }
  }
}
