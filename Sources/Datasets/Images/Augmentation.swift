// SPDX-License-Identifier: Apache-2.0

/// Random changes of training images, as a word such as `flip+crop`. None by default, as in the papers.
///
/// What happens to an image depends on (seed, epoch, index of the example) alone.
public struct Augmentation: Sendable, Equatable, CustomStringConvertible {
  /// How the part that is shown is chosen.
  public enum Crop: Sendable, Equatable {
    /// The whole image; of a photograph the centre.
    case none
    /// A shifted part: of a photograph any part of the resized picture, of a small image the whole one with up to four
    /// pixels of black on each side (K. He et al. 2016, §4.2).
    case shifted
    /// Of a photograph a part of 8 to 100 % of its area and an aspect of 3:4 to 4:3, resized (C. Szegedy et al. 2015).
    case resized
  }

  /// Nothing is changed.
  public static let none = Augmentation(flips: false, crop: .none)

  /// Whether every other image, on average, is mirrored left to right.
  public let flips: Bool
  /// How the part that is shown is chosen.
  public let crop: Crop

  /// Black pixels on each side of a small image that is shifted.
  static let padding = 4

  /// An augmentation from its parts.
  public init(flips: Bool, crop: Crop) {
    self.flips = flips
    self.crop = crop
  }

  /// The word, such as `flip+crop`.
  public var description: String {
    let crops: [Crop: String] = [.shifted: "crop", .resized: "random-resized-crop"]
    let words = [crops[crop], flips ? "flip" : nil].compactMap(\.self)
    return words.isEmpty ? "none" : words.joined(separator: "+")
  }

  /// Reads `none`, or `flip`, `crop` and `random-resized-crop` joined by `+`.
  ///
  /// - Throws: `DatasetError` that lists the words.
  public init(_ word: String) throws {
    if word == "none" {
      self = .none
      return
    }
    var (flips, crop) = (false, Crop.none)
    for part in word.split(separator: "+", omittingEmptySubsequences: false) {
      switch part {
      case "flip" where !flips: flips = true
      case "crop" where crop == .none: crop = .shifted
      case "random-resized-crop" where crop == .none: crop = .resized
      default:
        throw DatasetError(
          "augment must be none, flip, crop, random-resized-crop, or flip joined to one of them as in flip+crop, not "
            + "\"\(word)\".")
      }
    }
    self.init(flips: flips, crop: crop)
  }

  /// The random numbers for an example in an epoch.
  static func generator(seed: UInt64, epoch: Int, index: Int) -> SeededGenerator {
    SeededGenerator(seed: seed, stream: .augmentation, index: epoch).derive(stream: UInt64(bitPattern: Int64(index)))
  }

  /// Copies an image in memory, changed as the generator says.
  ///
  /// - Parameters:
  ///   - source: planes of bytes, as many as `shape` says.
  ///   - shape: channels, height, width.
  func apply(
    _ generator: inout SeededGenerator, to source: UnsafeRawBufferPointer, shape: [Int],
    into target: UnsafeMutableRawBufferPointer
  ) {
    let (channels, height, width) = (shape[0], shape[1], shape[2])
    var (down, right) = (0, 0)
    if crop != .none {
      down = generator.integer(below: 2 * Self.padding + 1) - Self.padding
      right = generator.integer(below: 2 * Self.padding + 1) - Self.padding
    }
    let isMirrored = flips && generator.next() >> 63 == 1
    let columns = max(0, -right)..<min(width, width - right)
    for row in 0..<channels * height {
      let (plane, y) = (row / height * height, row % height + down)
      let line = target.row(row, of: width)
      guard y >= 0, y < height, !columns.isEmpty else {
        line.initializeMemory(as: UInt8.self, repeating: 0)
        continue
      }
      let from = (plane + y) * width + right
      for x in 0..<width { line[isMirrored ? width - 1 - x : x] = columns.contains(x) ? source[from + x] : 0 }
    }
  }
}
