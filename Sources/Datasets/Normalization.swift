// SPDX-License-Identifier: Apache-2.0

/// How bytes become the numbers that a model sees: (byte / 255 − mean[c]) / deviation[c] for a pixel of channel c.
public struct Normalization: Sendable, Equatable, Codable {
  /// What is subtracted, for each channel.
  public let mean: [Float]
  /// What is divided by, for each channel.
  public let deviation: [Float]

  /// A normalisation of as many channels as there are means and deviations.
  public init(mean: [Float], deviation: [Float]) {
    self.mean = mean
    self.deviation = deviation
  }

  /// Means and deviations of CIFAR-10's training set.
  public static let cifar10 = Normalization(mean: [0.4914, 0.4822, 0.4465], deviation: [0.2470, 0.2435, 0.2616])
  /// Means and deviations of CIFAR-100's training set.
  public static let cifar100 = Normalization(mean: [0.5071, 0.4865, 0.4409], deviation: [0.2673, 0.2564, 0.2762])
  /// What models for photographs expect everywhere.
  public static let imageNet = Normalization(mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])

  /// The factor of a byte, for each channel: 1 / (255·deviation).
  var scales: [Float] { deviation.map { Float(1 / (255 * Double($0))) } }
  /// What is added then, for each channel: −mean / deviation.
  var offsets: [Float] { zip(mean, deviation).map { Float(-Double($0) / Double($1)) } }
}
