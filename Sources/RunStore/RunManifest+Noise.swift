// SPDX-License-Identifier: Apache-2.0

extension RunManifest {
  /// The number of classes K: 10 where the manifest does not say, and at least 2.
  public var classCount: Int { max(2, dataset.classes ?? 10) }

  /// The noise level ε, from 0 to 1: the share of labels chosen for noise.
  ///
  /// Of labels that came from a file it is not known, and taken as `redrawnShare`.
  public var noiseLevel: Double {
    noise.kind != Noise.external && noise.rate > 0 ? noise.rate : equivalentShare
  }

  /// The share of labels drawn anew from all classes, the old one included, from 0 to 1, that changes as many as the
  /// noise did.
  ///
  /// It is the level of noise that draws labels anew (`permute`, `uniform`). Of other kinds, and of labels from a file,
  /// the share q that differs tells: a label drawn anew from K classes is the old one once in K times, so that it is
  /// q·K/(K − 1), at most 1.
  public var redrawnShare: Double { Noise.directed.contains(noise.kind) ? equivalentShare : noiseLevel }

  private var equivalentShare: Double {
    guard let changed = noise.realisedRate else { return noise.rate }
    return min(1, changed * Double(classCount) / Double(classCount - 1))
  }
}
