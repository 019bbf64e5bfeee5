// SPDX-License-Identifier: Apache-2.0

import CImageCodecs

/// How a photograph becomes an image of fixed size: the shorter side resized to `resize` pixels, and the central square
/// of `size` pixels kept, as torchvision's `Resize` and `CenterCrop` do with the rounding they have.
public struct ImageTransform: Sendable, Equatable {
  /// Height and width of the result.
  public let size: Int
  /// The shorter side before the crop.
  public let resize: Int

  /// A transform to `size` pixels; by default the shorter side is first resized to `size`·256/224.
  ///
  /// - Throws: `DatasetError` when a size is not sensible.
  public init(size: Int = 224, resize: Int? = nil) throws {
    guard (1...4096).contains(size) else { throw DatasetError("image-size must be from 1 to 4096, not \(size).") }
    let resize = resize ?? (size * 256 + 112) / 224
    guard resize >= size, resize <= 8192 else {
      throw DatasetError("resize must be between the image-size, \(size), and 8192, not \(resize).")
    }
    self.size = size
    self.resize = resize
  }

  /// Which part of a picture is shown, and how.
  ///
  /// - Parameter generator: the source of random changes; nil for none.
  /// - Throws: `DatasetError` when the picture is so narrow that its resized length is not sensible.
  func view(of picture: ic_size, _ augmentation: Augmentation, _ generator: inout SeededGenerator?) throws -> ic_view {
    var view = ic_view()
    view.cropped = ic_size(width: Int32(size), height: Int32(size))
    if var numbers = generator, augmentation.crop == .resized {
      let part = Self.part(of: picture, &numbers)
      (view.source_left, view.source_top, view.source) = (Int32(part.left), Int32(part.top), part.size)
      view.scaled = view.cropped
      generator = numbers
    } else {
      view.source = picture
      let (width, height) = (Int(picture.width), Int(picture.height))
      let long = resize * max(width, height) / min(width, height)
      guard long <= 1 << 20 else { throw DatasetError("it is \(width) x \(height) pixels, too narrow to be resized") }
      let (scaledWidth, scaledHeight) = width <= height ? (resize, long) : (long, resize)
      view.scaled = ic_size(width: Int32(scaledWidth), height: Int32(scaledHeight))
      if var numbers = generator, augmentation.crop == .shifted {
        view.top = Int32(numbers.integer(below: scaledHeight - size + 1))
        view.left = Int32(numbers.integer(below: scaledWidth - size + 1))
        generator = numbers
      } else {
        // Halves go to the even neighbour, as Python's round does.
        // In range: at most the size of a picture.
        view.top = Int32((Double(scaledHeight - size) / 2).rounded(.toNearestOrEven))
        // In range: at most the size of a picture.
        view.left = Int32((Double(scaledWidth - size) / 2).rounded(.toNearestOrEven))
      }
    }
    if var numbers = generator, augmentation.flips {
      view.mirrored = numbers.next() >> 63 == 1
      generator = numbers
    }
    return view
  }

  /// A part with 8 to 100 % of the area and an aspect from 3:4 to 4:3, its logarithm uniform; after ten parts that do
  /// not fit, the largest central one that has such an aspect.
  private static func part(
    of picture: ic_size, _ generator: inout SeededGenerator
  ) -> (left: Int, top: Int, size: ic_size) {
    let (width, height) = (Int(picture.width), Int(picture.height))
    let widest = ExactMath.logarithm(4.0 / 3)
    for _ in 0..<10 {
      let area = Double(width * height) * generator.uniform(0.08, 1)
      let aspect = ExactMath.exponential(generator.uniform(-widest, widest))
      // In range: at most the size of a picture.
      let w = Int((area * aspect).squareRoot().rounded(.toNearestOrEven))
      // In range: at most the size of a picture.
      let h = Int((area / aspect).squareRoot().rounded(.toNearestOrEven))
      guard w > 0, h > 0, w <= width, h <= height else { continue }
      let top = generator.integer(below: height - h + 1)
      let left = generator.integer(below: width - w + 1)
      return (left, top, ic_size(width: Int32(w), height: Int32(h)))
    }
    // In range: at most the size of a picture.
    let w = min(width, max(1, Int((Double(height) * 4 / 3).rounded(.toNearestOrEven))))
    // In range: at most the size of a picture.
    let h = min(height, max(1, Int((Double(width) * 4 / 3).rounded(.toNearestOrEven))))
    return ((width - w) / 2, (height - h) / 2, ic_size(width: Int32(w), height: Int32(h)))
  }
}
