// SPDX-License-Identifier: Apache-2.0

/// For each class the one that it is usually confused with: where `asymmetric` label noise moves its labels.
///
/// The names of the classes alone decide which map it is, so that a folder with the pictures of CIFAR-10 has that of
/// CIFAR-10. The maps of CIFAR-10 and MNIST are those of Patrini et al. 2017 (*Making Deep Neural Networks Robust to
/// Label Noise*, §5) and Zhang and Sabuncu 2018 (*Generalized Cross Entropy Loss*, §4).
public struct ClassMap: Sendable, Equatable {
  /// `cifar10`, `mnist` or `next`.
  public let name: String
  /// The class that each class becomes; its own number where labels are kept.
  public let targets: [Int]

  /// The map for classes by their names:
  /// - `cifar10` for the ten of CIFAR-10, in any order: truck → automobile, bird → airplane, deer → horse, cat ↔ dog;
  /// - `mnist` for the ten digits 0 to 9, in any order: 2 → 7, 3 → 8, 5 ↔ 6, 7 → 1;
  /// - `next` for all others: each class becomes the next, the last one the first.
  ///
  /// - Parameter classNames: one name for each class.
  public init(classNames: [String]) {
    guard let known = Self.known.first(where: { $0.classes == classNames.sorted() }) else {
      (name, targets) = ("next", classNames.indices.map { ($0 + 1) % classNames.count })
      return
    }
    name = known.name
    targets = classNames.indices.map { index in
      known.targets[classNames[index]].flatMap { classNames.firstIndex(of: $0) } ?? index
    }
  }

  private static let known: [(name: String, classes: [String], targets: [String: String])] = [
    (
      "cifar10", DatasetCatalog.cifar10.classNames.sorted(),
      ["truck": "automobile", "bird": "airplane", "deer": "horse", "cat": "dog", "dog": "cat"]
    ),
    ("mnist", SyntheticDigits.classNames.sorted(), ["2": "7", "3": "8", "5": "6", "6": "5", "7": "1"]),
  ]
}
