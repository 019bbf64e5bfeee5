// SPDX-License-Identifier: Apache-2.0

/// Whether pixels are normalised.
public enum PixelNormalization: String, Sendable, Codable, CaseIterable {
  /// As is usual for the data set.
  case auto
  /// byte / 255, whatever the data set.
  case none
}

/// How a data set is read, beside its name and place.
public struct DatasetOptions: Sendable, Equatable {
  /// Whether a data set that is published in several files may be read when some are missing.
  public var allowsMissingFiles = false
  /// Whether pixels are normalised.
  public var normalize = PixelNormalization.auto
  /// Height and width of the images; those of a folder are 224 when nil, those of other data sets as they are.
  public var imageSize: Int?
  /// The shorter side of a folder's pictures before they are cropped; `imageSize`·256/224 when nil.
  public var resize: Int?
  /// How training images will be changed at random: a folder that is cropped anew each time is not kept decoded.
  public var augmentation = Augmentation.none
  /// The share of every class that is held out to test on where an image folder has no test pictures of its own, above
  /// 0 and below 1; a fifth when nil. Without a meaning where it has them.
  public var testFraction: Double?
  /// The seed that those pictures are drawn by.
  public var testSeed: UInt64 = 1
  /// Whether such a folder is not divided but all of it training examples, as a split file takes them.
  public var keepsFolderWhole = false
  /// What an example of a text is.
  public var example = ExampleMeaning.token
  /// Whether images that cannot be decoded are left out of a folder; they are an error otherwise.
  public var skipsBadImages = false
  /// Threads that decode; as many as the machine has cores when nil.
  public var workers: Int?
  /// Batches decoded ahead of the one in use.
  public var prefetch = 2
  /// A folder is kept in memory when its decoded images are no more than so many bytes.
  public var maximumBytesInMemory = 512 << 20

  /// The defaults.
  public init() {}
}
