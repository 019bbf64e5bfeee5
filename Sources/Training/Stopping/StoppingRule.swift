// SPDX-License-Identifier: Apache-2.0

/// When a training is complete before its last step, judged without held-out labels.
public enum StoppingRule: Sendable, Equatable {
  /// Once predictions begin to change more again, in means over so many passes: `LabelWave`.
  case labelWave(window: Int)
  /// Once the m-coherence of so many training examples begins to rise again, in means over so many passes:
  /// `CoherenceTurn`.
  case coherence(m: SampleSize, window: Int)

  /// The passes to average over where they are not given.
  public static let usualWindow = 3

  /// What it looks at, for people.
  var title: String {
    switch self {
    case .labelWave(let window): "label wave (the changes of predictions rise again, in means over \(window) passes)"
    case .coherence(_, let window): "coherence (r rises again, in means over \(window) passes)"
    }
  }

  /// The probe that watches for it.
  package func makeProbe() -> any Probe {
    switch self {
    case .labelWave(let window): LabelWave(window: window)
    case .coherence(let m, let window): CoherenceTurn(m: m, window: window)
    }
  }
}

/// Where a quantity that falls from pass to pass, and then rises, has its least value.
///
/// With C_t the mean of the quantity over the passes t − k + 1 to t, it has turned once C has been above its least value for
/// k passes in a row.
public struct TurningPoint: Sendable, Equatable {
  /// k.
  public let window: Int
  /// The quantity after every pass.
  public private(set) var values: [Double]
  /// Whether C has been above its least value for k passes.
  public private(set) var hasTurned = false

  /// - Parameters:
  ///   - window: k, at least 1; with less there is no turn.
  ///   - values: the quantity after the passes so far.
  public init(window: Int, values: [Double] = []) {
    (self.window, self.values) = (window, values)
    hasTurned = turned
  }

  /// Takes note of a pass.
  mutating func note(_ value: Double) {
    values.append(value)
    hasTurned = turned
  }

  /// - Throws: `TrainingError` unless there is a pass to average over.
  func check(_ probe: any Probe) throws {
    guard window < 1 else { return }
    throw TrainingError(
      .configuration,
      "\(probe) averages over at least one pass, not \(window); \(StoppingRule.usualWindow) is usual")
  }

  /// C of every pass that has k passes to average over.
  public var averages: [Double] {
    guard window >= 1, values.count >= window else { return [] }
    return (window...values.count).map { end in values[end - window..<end].reduce(0, +) / Double(window) }
  }

  private var turned: Bool {
    let averages = averages
    guard let least = averages.min(), let place = averages.lastIndex(of: least) else { return false }
    return averages.count - 1 - place >= window
  }

  /// The median of what was measured in a pass, in an order of its own; nil of nothing.
  package static func median(_ values: [Double]) -> Double? {
    let sorted = values.sorted()
    return sorted.isEmpty ? nil : (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }
}
