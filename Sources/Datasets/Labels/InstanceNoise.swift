// SPDX-License-Identifier: Apache-2.0

/// Draws label noise that depends on the picture: the rule is that of `NoiseKind.instance`.
///
/// Whatever is drawn depends on (seed, example) or (seed, class) alone, and the sum x·W_y is taken pixel after pixel in
/// double precision, without fused operations: the labels are the same on every machine, with any number of threads,
/// for pictures in memory and in files. At most W of one class and a few decoded pictures are in memory at a time.
struct InstanceNoise {
  /// The standard deviation of the examples' probabilities before they are cut.
  static let deviation = 0.1
  /// Pictures that are higher or wider are shrunk to so many pixels.
  static let maximumSide = 32

  private let noise: LabelNoise

  init(_ noise: LabelNoise) { self.noise = noise }

  /// The labels to train on.
  ///
  /// - Throws: `DatasetError` when the examples are no pictures, or a file cannot be decoded.
  func labels(of dataset: Dataset) throws -> [Int] {
    let shape = dataset.exampleShape
    guard shape.count == 3 else {
      throw DatasetError(
        "Noise of the kind instance depends on the picture, but the examples of \(dataset.name) have the shape \(shape), "
          + "not channels, height and width.",
        remedy: "Choose another kind of noise: permute, uniform or asymmetric.")
    }
    guard noise.rate > 0, dataset.classCount > 1 else { return dataset.labels }
    let draws = self.draws(dataset.count)
    // Class by class, so that W of one is enough.
    let changed = draws.indices.filter { draws[$0] != nil }
      .sorted { (dataset.labels[$0], $0) < (dataset.labels[$1], $1) }
    let (height, width) = (min(shape[1], Self.maximumSide), min(shape[2], Self.maximumSide))
    guard let features = checkedProduct([shape[0], height, width]),
      checkedProduct([features, dataset.classCount]) != nil
    else {
      throw DatasetError(
        "The pictures of \(dataset.name) are too large, \(shape), for instance noise with \(dataset.classCount) classes.",
        remedy: "Choose another kind of noise: permute, uniform or asymmetric.")
    }
    let decoder = try ImageDecoder()
    let isSmall = [height, width] == shape[1...]
    var shrunk = [UInt8](repeating: 0, count: isSmall ? 0 : features)
    var weights: (label: Int, values: [Double])?
    var assigned = dataset.labels
    try dataset.forEachExample(of: changed) { picture, place in
      let index = changed[place]
      let label = dataset.labels[index]
      if weights?.label != label { weights = (label, self.weights(of: label, features, dataset.classCount)) }
      guard let unit = draws[index], let values = weights?.values else { return }
      var scores = [Double](repeating: 0, count: dataset.classCount)
      if isSmall {
        Self.add(picture, values, to: &scores)
      } else {
        try shrunk.withUnsafeMutableBytes {
          try dataset.resize(picture, of: index, height: height, width: width, with: decoder, into: $0)
        }
        shrunk.withUnsafeBytes { Self.add($0, values, to: &scores) }
      }
      assigned[index] = Self.draw(unit, scores, own: label)
    }
    return assigned
  }

  /// qᵢ, the probability that the label of an example is changed.
  func flipRate(of index: Int) -> Double {
    var generator = SeededGenerator(seed: noise.seed, stream: .noiseRates, index: index)
    while true {
      let rate = noise.rate + Self.deviation * generator.normal()
      if rate >= 0, rate <= 1 { return rate }
    }
  }

  /// For each example whose label is changed a uniform number that its new class follows from; nil for the others.
  private func draws(_ count: Int) -> [Double?] {
    var choice = SeededGenerator(seed: noise.seed, stream: .noiseChoice)
    var draw = SeededGenerator(seed: noise.seed, stream: .noiseDraw)
    return (0..<count).map { index in
      // Drawn for every example, changed or not: a higher rate then only adds changes.
      let unit = draw.unit()
      return choice.unit() < flipRate(of: index) ? unit : nil
    }
  }

  /// W_y, features × classes, row-major.
  func weights(of label: Int, _ features: Int, _ classCount: Int) -> [Double] {
    var generator = SeededGenerator(seed: noise.weightSeed, stream: .noiseWeights, index: label)
    return (0..<(features * classCount)).map { _ in generator.normal() }
  }

  /// Adds x·W to `scores`, pixel after pixel.
  private static func add(_ picture: UnsafeRawBufferPointer, _ weights: [Double], to scores: inout [Double]) {
    let classCount = scores.count
    weights.withUnsafeBufferPointer { weights in
      scores.withUnsafeMutableBufferPointer { scores in
        for (feature, byte) in picture.enumerated() where byte != 0 {
          let (x, row) = (Double(byte), feature * classCount)
          for label in 0..<classCount { scores[label] += x * weights[row + label] }
        }
      }
    }
  }

  /// A class other than `own`, c with probability softmax(scores)_c over those: the first whose cumulative share is
  /// above `unit`.
  static func draw(_ unit: Double, _ scores: [Double], own: Int) -> Int {
    let others = scores.indices.filter { $0 != own }
    let largest = others.map { scores[$0] }.max() ?? 0
    let shares = others.map { ExactMath.exponential(ofNegative: scores[$0] - largest) }
    let limit = unit * shares.reduce(0, +)
    var sum = 0.0
    var drawn = own
    for (label, share) in zip(others, shares) where share > 0 {
      sum += share
      drawn = label
      if limit < sum { break }
    }
    return drawn
  }
}
