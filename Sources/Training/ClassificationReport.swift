// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How well predictions fit labels: loss and accuracy in all and by class, the confusion of classes, and calibration.
public struct ClassificationReport: Sendable, Equatable, Codable {
  /// A group of examples.
  public struct Group: Sendable, Equatable, Codable {
    /// Its name: `all`, a class, or a group of a split file.
    public let name: String
    /// How many examples it has.
    public let count: Int
    /// Mean cross entropy in nats, and the shares with the label as the first and among the first five classes; nil
    /// without examples.
    public let loss, accuracy, accuracyTop5: Double?
  }

  /// Examples whose confidence lies in one stretch.
  public struct Bin: Sendable, Equatable, Codable {
    /// The stretch of the largest probability, without its lower end.
    public let low, high: Double
    /// How many examples lie in it.
    public let count: Int
    /// Their mean confidence and accuracy; nil without examples.
    public let confidence, accuracy: Double?
  }

  /// Over all examples.
  public let all: Group
  /// By class of the label.
  public let classes: [Group]
  /// By group of examples, where there are any.
  public let groups: [Group]
  /// Examples by label (rows) and prediction (columns); of equal logits the lower class is the prediction, where the
  /// accuracy counts a tie with the label as wrong.
  public let confusion: [[Int]]
  /// The expected calibration error Σ_b n_b/N·|accuracy_b − confidence_b| over 15 equal stretches of the largest
  /// probability (Guo et al., On Calibration of Modern Neural Networks, 2017, equation 3).
  public let calibrationError: Double
  /// The stretches behind it.
  public let bins: [Bin]

  private static let binCount = 15

  /// What one example contributes.
  private struct Score {
    let label, predicted, rank: Int
    let loss, confidence: Double
  }

  /// A report.
  ///
  /// - Parameters:
  ///   - predictions: for every example.
  ///   - labels: their labels.
  ///   - classNames: a name for every class.
  ///   - groups: other groups, by the places of their examples.
  /// - Throws: `TrainingError` when there are no examples, not as many labels as predictions, or a label is no class.
  public init(
    _ predictions: Predictions, labels: [Int], classNames: [String], groups: [(name: String, places: [Int])] = []
  ) throws {
    guard !labels.isEmpty, labels.count == predictions.count else {
      throw TrainingError(
        .configuration, "\(predictions.count) predictions cannot be compared with \(labels.count) labels; give as many")
    }
    try predictions.checkFinite()
    guard classNames.count == predictions.classCount else {
      throw TrainingError(
        .configuration,
        "the model has \(predictions.classCount) classes, but the data has \(classNames.count); give data with the model's "
          + "classes")
    }
    if let stranger = labels.first(where: { !classNames.indices.contains($0) }) {
      throw TrainingError(.configuration, "the label \(stranger) is none of the \(classNames.count) classes")
    }
    let scores = labels.indices.map { Self.score($0, predictions, labels[$0]) }
    func group(_ name: String, _ places: some Collection<Int>) -> Group {
      func mean(_ value: (Score) -> Double) -> Double? {
        places.isEmpty ? nil : places.reduce(0) { $0 + value(scores[$1]) } / Double(places.count)
      }
      return Group(
        name: name, count: places.count, loss: mean(\.loss), accuracy: mean { $0.rank == 0 ? 1 : 0 },
        accuracyTop5: mean { $0.rank < 5 ? 1 : 0 })
    }
    all = group("all", labels.indices)
    var byClass = [[Int]](repeating: [], count: classNames.count)
    var confusion = [[Int]](repeating: [Int](repeating: 0, count: classNames.count), count: classNames.count)
    for (place, score) in scores.enumerated() {
      byClass[score.label].append(place)
      confusion[score.label][score.predicted] += 1
    }
    classes = zip(classNames, byClass).map(group)
    self.groups = groups.map { group($0.name, $0.places) }
    self.confusion = confusion
    let bins = Self.bins(scores)
    self.bins = bins
    calibrationError = bins.reduce(0) { sum, bin in
      sum + Double(bin.count) / Double(labels.count) * abs((bin.accuracy ?? 0) - (bin.confidence ?? 0))
    }
  }

  private static func score(_ place: Int, _ predictions: Predictions, _ label: Int) -> Score {
    let probabilities = predictions.probabilities(of: place)
    let row = predictions.logits[place * predictions.classCount..<(place + 1) * predictions.classCount].map(Double.init)
    let largest = row.max() ?? 0
    let predicted = row.firstIndex(of: largest) ?? 0
    // log Σ exp without overflow; a label of probability 0 still has a finite loss.
    let loss = log(row.reduce(0) { $0 + exp($1 - largest) }) + largest - row[label]
    // A tie counts as wrong, as it does in training.
    let rank = row.indices.count { $0 != label && !(row[$0] < row[label]) }
    return Score(
      label: label, predicted: predicted, rank: rank, loss: loss, confidence: probabilities[predicted])
  }

  private static func bins(_ scores: [Score]) -> [Bin] {
    let byBin = Dictionary(grouping: scores) { score in
      // In range: the logits are finite, and so are probabilities.
      min(binCount - 1, max(0, Int((score.confidence * Double(binCount)).rounded(.up)) - 1))
    }
    return (0..<binCount).map { index in
      let own = byBin[index] ?? []
      let count = Double(own.count)
      return Bin(
        low: Double(index) / Double(binCount), high: Double(index + 1) / Double(binCount), count: own.count,
        confidence: own.isEmpty ? nil : own.reduce(0) { $0 + $1.confidence } / count,
        accuracy: own.isEmpty ? nil : Double(own.count { $0.rank == 0 }) / count)
    }
  }
}
