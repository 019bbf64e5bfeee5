// SPDX-License-Identifier: Apache-2.0

import CImageCodecs
import Foundation

/// Writes pictures as PNG.
public enum PNGEncoder {
  /// A picture as the bytes of a PNG file of 8 bits a channel.
  ///
  /// - Parameters:
  ///   - pixels: height × width × channels bytes, row after row.
  ///   - width: pixels in a row.
  ///   - height: rows.
  ///   - channels: 1 for grey, 3 for red, green and blue.
  /// - Throws: `DatasetError` when the bytes are not those of such a picture, or memory runs out.
  public static func encode(_ pixels: [UInt8], width: Int, height: Int, channels: Int) throws -> Data {
    guard pixels.count == checkedProduct([width, height, channels]), let pixelWidth = Int32(exactly: width),
      let pixelHeight = Int32(exactly: height), let channelCount = Int32(exactly: channels)
    else {
      throw DatasetError(
        "\(pixels.count) bytes are not a picture of \(width) x \(height) pixels of \(channels) channels.")
    }
    guard let workspace = ic_workspace_create() else { throw DatasetError("Not enough memory to write a PNG.") }
    defer { ic_workspace_free(workspace) }
    var bytes = ic_bytes()
    do {
      try ImageDecoder.check(
        ic_encode_png(workspace, pixels, channelCount, ic_size(width: pixelWidth, height: pixelHeight), &bytes))
    } catch let problem as ImageProblem {
      throw DatasetError("A picture of \(width) x \(height) pixels cannot be written as PNG: \(problem.reason).")
    }
    return Data(UnsafeBufferPointer(start: bytes.start, count: bytes.count))
  }
}
