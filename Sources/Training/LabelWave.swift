// SPDX-License-Identifier: Apache-2.0

/// When to stop without held-out labels: Label Wave (Yuan et al., Early Stopping Against Label Noise Without Validation
/// Data, 2024, arXiv 2502.07551).
///
/// In the t-th pass over the training examples a share c_t of them is classified otherwise than in the pass before, each
/// looked at in its own mini-batch. While a network learns what labels agree on the share falls; once it begins to fit
/// single labels the share rises again. With C_t the mean of c over the last k passes, training is complete when C_t has
/// been above its least value for k passes in a row.
public struct LabelWave: Sendable, Equatable {
  /// k.
  public let window: Int
  /// c of every complete pass from the second on, from 0 to 1.
  public private(set) var changes: [Double] = []
  /// Whether C has been above its least value for k passes.
  public private(set) var hasTurned = false
  /// The class predicted at the last visit of each training example; −1 before the first.
  private var predictions: [Int]
  /// Visits of the present pass that had one before, and those of them that changed.
  private var (seen, changed) = (0, 0)

  /// Nothing seen yet.
  ///
  /// - Parameters:
  ///   - window: k, at least 1.
  ///   - count: training examples.
  public init(window: Int, count: Int) {
    self.window = window
    predictions = [Int](repeating: -1, count: count)
  }

  /// Takes note of a visit. An example outside the training set is ignored.
  mutating func observe(_ index: Int, predicted: Int) {
    guard predictions.indices.contains(index) else { return }
    let before = predictions[index]
    predictions[index] = predicted
    guard before >= 0 else { return }
    seen += 1
    if before != predicted { changed += 1 }
  }

  /// Takes note of the end of a pass.
  mutating func endPass() {
    if seen > 0 { changes.append(Double(changed) / Double(seen)) }
    (seen, changed) = (0, 0)
    hasTurned = turned
  }

  /// C of every pass that has k passes to average over.
  public var averages: [Double] {
    guard changes.count >= window else { return [] }
    return (window...changes.count).map { end in changes[end - window..<end].reduce(0, +) / Double(window) }
  }

  private var turned: Bool {
    let averages = averages
    guard let least = averages.min(), let place = averages.lastIndex(of: least) else { return false }
    return averages.count - 1 - place >= window
  }
}

// MARK: - State

extension LabelWave {
  /// Everything that it rests on, as numbers for a checkpoint.
  var state: (predictions: [Int], pass: [Int], changes: [Double]) { (predictions, [seen, changed], changes) }

  /// Continues from a saved state; nil when it is of other data.
  init?(window: Int, count: Int, predictions: [Int], pass: [Int], changes: [Double]) {
    guard predictions.count == count, pass.count == 2, pass.allSatisfy({ (0...Int(Int32.max)).contains($0) }) else {
      return nil
    }
    (self.window, self.predictions, self.changes, seen, changed) = (window, predictions, changes, pass[0], pass[1])
    hasTurned = turned
  }
}
