// SPDX-License-Identifier: Apache-2.0

extension RunManifest {
  /// The number of classes K: 10 where the manifest does not say, and at least 2.
  public var classCount: Int { max(2, dataset.classes ?? 10) }

  /// The noise level ε, from 0 to 1: the share of examples whose label was drawn anew.
  ///
  /// Of labels that came from a file only the share q that differs is known. A label drawn anew from K classes is the
  /// old one once in K times, so that the level which changes as many is ε = q·K/(K − 1), at most 1.
  public var noiseLevel: Double {
    let isKnown = noise.kind != Noise.external && noise.rate > 0
    guard !isKnown, let changed = noise.realisedRate, changed > 0 else { return noise.rate }
    return min(1, changed * Double(classCount) / Double(classCount - 1))
  }
}
