// SPDX-License-Identifier: Apache-2.0

/// When a training is complete before its last step, judged without held-out labels.
public enum StoppingRule: Sendable, Equatable {
  /// Once predictions begin to change more again, in means over so many passes: `LabelWave`.
  case labelWave(window: Int)
  /// Once the m-coherence of so many training examples begins to rise again, in means over so many passes:
  /// `CoherenceTurn`.
  case coherence(m: SampleSize, window: Int)

  /// k where it is not given.
  public static let usualWindow = 3

  /// The probe that watches for it.
  func makeProbe() -> any StoppingProbe {
    switch self {
    case .labelWave(let window): LabelWave(window: window)
    case .coherence(let m, let window): CoherenceTurn(m: m, window: window)
    }
  }

  /// k.
  public var window: Int {
    switch self {
    case .labelWave(let window), .coherence(_, let window): window
    }
  }
}

/// A probe that ends a training when what it watches has turned. It watches as the training goes on, so that it knows of a
/// turn before the step's evaluation, and gives to the log of measures what it has seen.
protocol StoppingProbe: Probe {
  /// What it has seen.
  var turn: TurningPoint { get }
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

  /// - Parameters:
  ///   - window: k, at least 1.
  ///   - values: the quantity after the passes so far.
  public init(window: Int, values: [Double] = []) { (self.window, self.values) = (window, values) }

  /// Takes note of a pass.
  mutating func note(_ value: Double) { values.append(value) }

  /// C of every pass that has k passes to average over.
  public var averages: [Double] {
    guard values.count >= window else { return [] }
    return (window...values.count).map { end in values[end - window..<end].reduce(0, +) / Double(window) }
  }

  /// Whether C has been above its least value for k passes.
  public var hasTurned: Bool {
    let averages = averages
    guard let least = averages.min(), let place = averages.lastIndex(of: least) else { return false }
    return averages.count - 1 - place >= window
  }
}
