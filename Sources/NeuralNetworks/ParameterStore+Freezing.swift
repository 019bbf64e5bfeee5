// SPDX-License-Identifier: Apache-2.0

extension ParameterStore {
  /// Freezes parameters by name: `SGD` of `Training` never changes them again, not by weight decay either. Whoever
  /// updates `values` by hand finds what is left to train in `trainedRanges`. Gradients are those of a model without frozen
  /// parameters, and batch normalisation goes on following its batches as in training, unless it is frozen itself
  /// (`NormalizationChoice.frozen`), as with `requires_grad = False` in PyTorch.
  ///
  /// A pattern stands for the parameters of its name, and for all in a module of its name: `layer1` for
  /// `layer1.0.conv1.weight` too. In it `*` stands for any characters, dots included, and `?` for one: `*.bias`.
  ///
  /// - Throws: `ModelError` when a pattern matches nothing, with the nearest names, or nothing is left to train; the store
  ///   is then as before.
  public func freeze(_ patterns: [String]) throws {
    guard !patterns.isEmpty else { return }
    let names = entries.map { Self.modules(of: $0.name) + [$0.name] }
    var isFrozen = entries.map { entry in frozenRanges.contains { $0.contains(entry.range.lowerBound) } }
    for pattern in patterns {
      let glob = Array(pattern)
      var isKnown = false
      for (place, names) in names.enumerated() where names.contains(where: { Self.matches(glob, Array($0)) }) {
        (isKnown, isFrozen[place]) = (true, true)
      }
      guard isKnown else { throw Self.unknown(pattern, among: names) }
    }
    guard !isFrozen.allSatisfy({ $0 }) else {
      throw ModelError(
        "freeze \(patterns.joined(separator: ", ")) leaves nothing to train: all \(entries.count) parameters match; "
          + "freeze fewer of them")
    }
    frozenRanges = Self.joined(zip(entries, isFrozen).compactMap { $1 && !$0.range.isEmpty ? $0.range : nil })
  }

  /// The number of elements of frozen parameters.
  public var frozenCount: Int { frozenRanges.reduce(0) { $0 + $1.count } }

  /// The elements of all other parameters, ascending; adjacent ones in one range.
  public var trainedRanges: [Range<Int>] {
    let starts = [0] + frozenRanges.map(\.upperBound)
    let ends = frozenRanges.map(\.lowerBound) + [count]
    return zip(starts, ends).compactMap { $0 < $1 ? $0..<$1 : nil }
  }

  /// Ascending ranges with adjacent ones in one.
  package static func joined(_ ranges: [Range<Int>]) -> [Range<Int>] {
    ranges.reduce(into: []) { joined, range in
      if let last = joined.last, last.upperBound == range.lowerBound {
        joined[joined.count - 1] = last.lowerBound..<range.upperBound
      } else {
        joined.append(range)
      }
    }
  }

  /// The modules that a parameter is in, the outermost first.
  private static func modules(of name: String) -> [String] {
    name.indices.filter { name[$0] == "." }.map { String(name[..<$0]) }
  }

  /// Whether a name is what a pattern with `*` and `?` stands for.
  private static func matches(_ pattern: [Character], _ name: [Character]) -> Bool {
    var (at, place) = (0, 0)
    // Where the last star stood, and how much of the name it has taken.
    var (star, taken) = (-1, 0)
    while place < name.count {
      if at < pattern.count, pattern[at] == "*" {
        (star, taken) = (at, place)
        at += 1
      } else if at < pattern.count, pattern[at] == "?" || pattern[at] == name[place] {
        at += 1
        place += 1
      } else if star >= 0 {
        taken += 1
        (at, place) = (star + 1, taken)
      } else {
        return false
      }
    }
    return pattern[at...].allSatisfy { $0 == "*" }
  }

  private static func unknown(_ pattern: String, among names: [[String]]) -> ModelError {
    var seen: Set<String> = []
    let known = names.flatMap { $0 }.filter { seen.insert($0).inserted }
    let plain = pattern.filter { !"*?".contains($0) }.split(separator: ".").joined(separator: ".")
    if let close = nearest(to: plain, in: known) {
      return ModelError("freeze \"\(pattern)\" matches no parameter; did you mean \"\(close)\"?")
    }
    var outermost: [String] = []
    for name in names.compactMap(\.first) where !outermost.contains(name) { outermost.append(name) }
    return ModelError(
      "freeze \"\(pattern)\" matches no parameter; the model's are in \(outermost.joined(separator: ", ")), such as "
        + "\(names.first?.last ?? "")")
  }
}
