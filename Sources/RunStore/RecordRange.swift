// SPDX-License-Identifier: Apache-2.0

/// What numbers in the files of a run may be. Files are edited, cut short and copied between machines; a number is
/// checked here, where it is read, so that no sum, difference or conversion behind the reader can overflow.
enum RecordRange {
  /// Steps, places, sizes and counts: a million of them still add up to an `Int`.
  static let whole = 0...1_000_000_000_000
  /// Bytes of memory.
  static let bytes = 0...1_000_000_000_000_000
  /// A share, such as the level of noise.
  static let share = 0.0...1.0
  /// A measured share, such as an accuracy or α: rounding and estimates may leave 0 to 1, and far outside is damage.
  static let measuredShare = -10.0...10.0
  /// Counts with fractions, such as epochs and m-coherence, and seconds.
  static let amount = 0.0...1e12
}

/// Checks the numbers of one JSON file.
struct NumberCheck {
  /// The file, for messages.
  let place: String

  /// - Throws: `RunStoreError` that names file and key of a number outside the range; nil passes.
  func require<Number: Comparable>(_ number: Number?, _ key: String, in range: ClosedRange<Number>) throws {
    guard let number, !range.contains(number) else { return }
    throw failure(number, key, "from \(range.lowerBound) to \(range.upperBound)")
  }

  /// - Throws: `RunStoreError` that names file and key of what is infinite or not a number; nil passes.
  func requireFinite(_ number: Double?, _ key: String) throws {
    guard let number, !number.isFinite else { return }
    throw failure(number, key, "a finite number")
  }

  private func failure(_ number: some Any, _ key: String, _ expected: String) -> RunStoreError {
    RunStoreError(
      "\(place) cannot be read: \(key) is \(number), which is not \(expected).",
      remedy: "The file is damaged or comes from another version of the program; restore it or run again.")
  }
}
