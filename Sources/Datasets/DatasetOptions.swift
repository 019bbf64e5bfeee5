// SPDX-License-Identifier: Apache-2.0

/// Whether pixels are normalised.
public enum NormalizationChoice: String, Sendable, Codable, CaseIterable {
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
  public var normalize = NormalizationChoice.auto

  /// The defaults.
  public init() {}
}
