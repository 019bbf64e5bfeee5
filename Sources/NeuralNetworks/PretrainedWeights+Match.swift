// SPDX-License-Identifier: Apache-2.0

import Tensors

extension PretrainedWeights {
  /// The architecture that these tensors are weights of: the first of the catalogue with the same names and shapes, the
  /// last layer's number of classes and the images' channels aside. Nil when there is none.
  ///
  /// Models are made to compare with, which takes up to some seconds for the largest: for messages only.
  static func architecture(of tensors: [String: Tensor]) -> String? {
    let shapes = tensors.filter { !isStatistic($0.key) }.mapValues(\.shape)
    return ModelCatalog.all.first { entry in
      guard let classes = shapes[entry.head + ".weight"]?.first, (1...1_000_000).contains(classes) else { return false }
      return matches(shapes, entry, classes: classes)
    }?.name
  }

  /// Whether a tensor belongs to a normalisation's running statistics, which not every normalisation has.
  private static func isStatistic(_ name: String) -> Bool {
    ["running_mean", "running_var", "num_batches_tracked"].contains { name.hasSuffix($0) }
  }

  private static func matches(_ shapes: [String: [Int]], _ entry: ModelEntry, classes: Int) -> Bool {
    // Uniform draws are the fastest.
    guard
      let model = try? ModelSpecification(entry.name).build(
        exampleShape: [3, entry.usualSide, entry.usualSide], classes: classes, initializer: .pytorch,
        generator: Generator(seed: 1))
    else { return false }
    let parameters = model.namedParameters
    let given = shapes.filter { name, _ in !entry.ignoredWeights.contains { name.hasPrefix($0) } }
    guard given.count == parameters.count else { return false }
    let first = parameters.firstIndex { $0.parameter.shape.count == 4 }
    return parameters.enumerated().allSatisfy { index, item in
      guard var shape = given[item.name] else { return false }
      var own = item.parameter.shape
      // The first convolution's inputs are the channels of the images.
      if index == first, shape.count == own.count { (shape[1], own[1]) = (0, 0) }
      return shape == own
    }
  }
}
