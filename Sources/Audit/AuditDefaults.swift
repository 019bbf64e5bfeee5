// SPDX-License-Identifier: Apache-2.0

import Datasets
import Runs

/// The training that an audit makes where nobody says otherwise: good without thought, and the same for every data set of
/// a kind.
public enum AuditDefaults {
  /// Visits of examples that a training has at least, where that takes no more than the most epochs.
  static let visits = 400_000
  /// The fewest and the most passes over the data.
  static let epochs = 30...120
  /// Grey pictures up to this size are learned by a perceptron, all others by a residual network.
  static let perceptronSize = 28

  /// The settings for a data set.
  ///
  /// Perceptrons are trained with M3, medians of groups of 32: what few examples share hardly gets into a median of three,
  /// so that wrong labels are learned late or never (Weak and Strong Gradient Directions; the study ws/group-size has the
  /// sizes of groups for which that holds). Residual networks, which learn slowly and memorise late, rank better after SGD
  /// with momentum in three of four comparisons (docs/audit.md has them).
  ///
  /// - Parameters:
  ///   - exampleShape: channels, height and width of an example; nil for a folder of pictures.
  ///   - count: the number of training examples.
  ///   - optimizer: what was asked for; rate and momentum are then those that suit it. Nil for what suits the data.
  public static func configuration(
    exampleShape: [Int]?, count: Int, optimizer: String? = nil
  ) -> TrainingConfiguration {
    var settings = TrainingConfiguration()
    let isGrey = exampleShape.map { $0.count == 3 && $0[0] == 1 && $0[1] <= perceptronSize } ?? false
    // The rest of an epoch would have groups of another size, or too few examples for three; it is another one each time.
    (settings.batchSize, settings.dropLast) = (max(3, min(96, count / 4)), true)
    settings.schedule = "cosine"
    settings.epochs = Double(max(epochs.lowerBound, min(epochs.upperBound, visits / max(1, count))))
    settings.keep = "last"
    if isGrey {
      (settings.model, settings.optimizer, settings.lr) = ("mlp:512,512", optimizer ?? "m3", 0.1)
    } else {
      (settings.model, settings.optimizer) = ("resnet20", optimizer ?? "sgd")
      (settings.weightDecay, settings.augment) = (5e-4, "flip+crop")
      // Robust averages were studied without momentum.
      (settings.lr, settings.momentum) = settings.optimizer == "sgd" ? (0.05, 0.9) : (0.2, 0)
      if exampleShape == nil { settings.imageSize = folderSize }
    }
    return settings
  }

  /// Height and width of the pictures of a folder: enough to tell things apart, little enough for a laptop.
  static let folderSize = 64
}
