// SPDX-License-Identifier: Apache-2.0

/// The built-in data set `modular:P`: sums modulo P, a task of which a network can memorise the pairs that it sees or find
/// the rule (Power et al., Grokking, 2022).
///
/// An example is the three tokens a, b and =, for every pair of a and b in 0 ..< P once; its class is (a + b) mod P. The
/// tokens 0 ... P − 1 are the numbers and P is =. The pairs are put in a random order by the seed; the last ones are held
/// out to test on.
public enum ModularAddition {
  /// The moduli that there can be: every token is a byte.
  public static let moduli = 2...255

  /// Tokens of an example.
  public static let length = 3

  /// The modulus P of a name `modular:P`; nil for any other name.
  ///
  /// - Throws: `DatasetError` when P is no number in `moduli`.
  static func modulus(in name: String) throws -> Int? {
    let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts[0] == "modular" else { return nil }
    guard parts.count == 2, let modulus = Int(parts[1]), moduli.contains(modulus), parts[1] == String(modulus) else {
      throw DatasetError(
        "There is no data set called \"\(name)\": modular has its modulus behind a colon.",
        remedy: "Write modular:P with P from \(moduli.lowerBound) to \(moduli.upperBound), such as modular:97.")
    }
    return modulus
  }

  /// The pairs of a split.
  ///
  /// - Parameters:
  ///   - modulus: P.
  ///   - split: those to train on or those held out.
  ///   - options: the share that is held out, a fifth by default and all on both sides for 0, its seed, and whether
  ///     nothing is held out, as a split file takes them.
  /// - Throws: `DatasetError` when the modulus or the share is out of range.
  public static func load(modulus: Int, split: Split, options: DatasetOptions = DatasetOptions()) throws -> Dataset {
    guard moduli.contains(modulus) else {
      throw DatasetError(
        "The modulus is \(modulus), but it must be from \(moduli.lowerBound) to \(moduli.upperBound).")
    }
    let name = "modular:\(modulus)"
    let held = try HeldOutShare(options)
    try held.check(split, of: name)
    var generator = SeededGenerator(seed: options.testSeed, stream: .testExamples)
    let order = generator.permutation(count: modulus * modulus)
    let chosen = Array(order[held.range(of: split, count: order.count)])
    let images = try ByteStorage(count: chosen.count * length) { buffer in
      for (place, pair) in chosen.enumerated() {
        let (a, b) = pair.quotientAndRemainder(dividingBy: modulus)
        for (offset, token) in [a, b, modulus].enumerated() {
          buffer[place * length + offset] = UInt8(truncatingIfNeeded: token)
        }
      }
    }
    var dataset = try Dataset(
      name: name, split: split, exampleShape: [length], classNames: (0..<modulus).map { String($0) }, images: images,
      labels: chosen.map { ($0 / modulus + $0 % modulus) % modulus })
    (dataset.vocabulary, dataset.testFraction) = (modulus + 1, held.recorded)
    dataset.sourceChecksums = ["\(split.rawValue) content": try dataset.contentChecksum()]
    return dataset
  }
}

/// The share of a built-in set of examples that is held out to test on.
struct HeldOutShare {
  /// The share where none is chosen.
  static let usual = ImageFolder.usualTestFraction

  private let share: Double
  private let isWhole: Bool

  /// - Throws: `DatasetError` unless the share is at least 0 and below 1.
  init(_ options: DatasetOptions) throws {
    share = try ImageFolder.checked(options.testFraction ?? Self.usual)
    isWhole = options.keepsFolderWhole || share == 0
  }

  /// - Throws: `DatasetError` when nothing says which examples to test on.
  func check(_ split: Split, of name: String) throws {
    guard split == .test, isWhole, share > 0 else { return }
    throw DatasetError(
      "\(name) has no test examples of its own, and nothing else says which to test on.",
      remedy: "Add lines whose split is test to the split file, or omit that file to hold out some examples.")
  }

  /// As results record it; nil where nothing is held out.
  var recorded: Double? { isWhole ? nil : share }

  /// The places of a split in a list of `count` examples: the last ones are held out, at least one of them, and at least
  /// one is not; all on both sides where nothing is held out.
  func range(of split: Split, count: Int) -> Range<Int> {
    guard !isWhole, count > 1 else { return 0..<count }
    let tests = min(count - 1, max(1, Int(exactly: (share * Double(count)).rounded()) ?? 1))
    return split == .train ? 0..<count - tests : count - tests..<count
  }
}
