// SPDX-License-Identifier: Apache-2.0

import Tensors

/// Which normalisation follows the convolutions of a model, as a word: "batch", "frozen" or "group:8".
public enum NormalizationChoice: Sendable, Equatable, CustomStringConvertible {
  /// Batch normalisation, as the architectures were published.
  case batch
  /// Batch normalisation by the running statistics that weights come with, which training leaves as they are; γ and β
  /// are trained.
  case frozen
  /// Normalisation of each example by itself over so many groups of channels (Wu and He), in the same places.
  case group(Int)

  /// Parses the word.
  ///
  /// - Throws: `ModelError` that names what was expected.
  public init(_ text: String) throws {
    if text == "batch" {
      self = .batch
    } else if text == "frozen" {
      self = .frozen
    } else if text.hasPrefix("group:"), let count = Int(text.dropFirst(6)), count >= 1, text == "group:\(count)" {
      self = .group(count)
    } else {
      throw ModelError("there is no normalisation \"\(text)\"; choose batch, frozen or group:N, such as group:8")
    }
  }

  /// The word.
  public var description: String {
    switch self {
    case .batch: "batch"
    case .frozen: "frozen"
    case .group(let count): "group:\(count)"
    }
  }
}
