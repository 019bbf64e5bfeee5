// SPDX-License-Identifier: Apache-2.0

import CImageCodecs

extension Dataset {
  /// The same pictures at another height and width, resized as torchvision's `Resize` does (bilinear, antialiased): for
  /// networks that take nothing as small as the data set's own.
  ///
  /// - Parameter side: height and width; nil to leave them.
  /// - Throws: `DatasetError` when the size is not sensible, or the pictures have neither one nor three channels.
  func resized(to side: Int?) throws -> Dataset {
    guard let side, exampleShape.count == 3, exampleShape[1...] != [side, side] else { return self }
    guard (1...4096).contains(side) else { throw DatasetError("image-size must be from 1 to 4096, not \(side).") }
    guard let images, let size = checkedProduct([exampleShape[0], side, side]),
      let total = checkedProduct([count, size])
    else { throw DatasetError("The images of \(name) cannot be resized: they are not in memory, or too many.") }
    let decoder = try ImageDecoder()
    let bytes = try ByteStorage(count: total) { target in
      try images.withUnsafeBytes { source in
        for index in 0..<count {
          try resize(
            source.row(index, of: exampleSize), of: index, height: side, width: side, with: decoder,
            into: target.row(index, of: size))
        }
      }
    }
    var result = try Dataset(
      name: name, split: split, exampleShape: [exampleShape[0], side, side], classNames: classNames, images: bytes,
      labels: labels, sourceChecksums: sourceChecksums)
    (result.normalization, result.notes, result.skipped) = (normalization, notes, skipped)
    return result
  }

  /// Resizes the picture of one example, of shape [channels, height, width].
  ///
  /// - Throws: `DatasetError` when the pictures have neither one nor three channels.
  func resize(
    _ picture: UnsafeRawBufferPointer, of index: Int, height: Int, width: Int, with decoder: ImageDecoder,
    into target: UnsafeMutableRawBufferPointer
  ) throws {
    do {
      try decoder.resize(
        picture, channels: exampleShape[0],
        from: ic_size(width: Int32(exampleShape[2]), height: Int32(exampleShape[1])),
        to: ic_size(width: Int32(width), height: Int32(height)), into: target)
    } catch let problem as ImageProblem {
      throw DatasetError("Example \(index) of \(name) cannot be resized: \(problem.reason).")
    }
  }
}
