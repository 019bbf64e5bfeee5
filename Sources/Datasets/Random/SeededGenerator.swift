// SPDX-License-Identifier: Apache-2.0

/// What a random stream is for. Each purpose has its own stream of one seed, so that, for example, changing the noise
/// rate never changes the order of the batches. The raw values are part of the file formats: never renumber them.
public enum SeedStream: UInt64, Sendable, Codable, CaseIterable {
  /// Which labels are chosen for label noise.
  case noiseChoice = 1
  /// Which labels the chosen ones get.
  case noiseDraw = 2
  /// The order of the examples in an epoch.
  case shuffling = 3
  /// Initial parameters.
  case initialisation = 4
  /// Training digits of the built-in data set.
  case digitsTrain = 5
  /// Test digits of the built-in data set.
  case digitsTest = 6
  /// Random masks such as those of dropout.
  case dropout = 7
  /// Validation examples held out of the training set.
  case validation = 8
  /// Examples whose gradients are measured.
  case probe = 9
  /// Random changes of training images.
  case augmentation = 10
  /// Pictures held out of a folder to test on.
  case testExamples = 11
  /// Examples that evaluations see before there is time for all.
  case evaluation = 12
  /// The shapes of the built-in glyphs, one index for each class.
  case glyphShapes = 13
  /// How instance-dependent label noise weighs the pixels of a picture, one index for each class.
  case noiseWeights = 14
  /// With what probability instance-dependent label noise changes an example, one index for each.
  case noiseRates = 15
  /// Which examples get into mini-batches that are drawn by chance, one index for each mini-batch.
  case poissonSampling = 16
  /// The noise of private training.
  case privacyNoise = 17
}

/// The project's random generator: xoshiro256** (Blackman and Vigna, 2018) seeded by SplitMix64.
///
/// Everything derived here (bounded integers, unit doubles, normals, shuffles) is defined by this file alone and uses
/// only operations that IEEE 754 rounds exactly, so one seed means the same numbers on every platform and in every
/// Swift version. Use `shuffle(_:)` and `integer(below:)` rather than the standard library's, which may change.
public struct SeededGenerator: RandomNumberGenerator, Sendable, Equatable {
  private var s0: UInt64
  private var s1: UInt64
  private var s2: UInt64
  private var s3: UInt64

  /// Stream 0 of a seed.
  public init(seed: UInt64) { self.init(splitMix: seed) }

  /// Stream number `stream` of a seed; different streams are independent for every practical purpose.
  public init(seed: UInt64, stream: UInt64) {
    self.init(splitMix: stream == 0 ? seed : Self.mix(seed) ^ Self.mix(stream &* 0xD1B5_4A32_D192_ED03 &+ 1))
  }

  /// The stream for a purpose and, within it, for an index such as an epoch or an example.
  public init(seed: UInt64, stream: SeedStream, index: Int = 0) {
    let purpose = Self.mix(seed) ^ Self.mix(stream.rawValue &* 0xD1B5_4A32_D192_ED03 &+ 1)
    self.init(splitMix: Self.mix(purpose) &+ UInt64(bitPattern: Int64(index)) &* 0xA076_1D64_78BD_642F)
  }

  private init(splitMix seed: UInt64) {
    var state = seed
    func word() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      return Self.mix(state)
    }
    (s0, s1, s2, s3) = (word(), word(), word(), word())
    // SplitMix64 is a bijection of a moving counter, so four zeros in a row cannot happen; keep the guarantee local.
    if s0 | s1 | s2 | s3 == 0 { s0 = 1 }
  }

  // The finaliser of SplitMix64 (Stafford's variant 13 of MurmurHash3).
  private static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A generator for a sub-stream of this one's present state; this one does not move.
  public func derive(stream: UInt64) -> SeededGenerator {
    let state = Self.mix(Self.mix(Self.mix(s0) ^ s1) ^ s2) ^ s3
    return SeededGenerator(seed: state, stream: stream &+ 1)
  }

  /// The next 64 uniformly random bits.
  public mutating func next() -> UInt64 {
    let product = s1 &* 5
    let result = ((product << 7) | (product >> 57)) &* 9
    let t = s1 << 17
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    s3 = (s3 << 45) | (s3 >> 19)
    return result
  }

  /// A whole number in 0 ..< `bound`, without bias (Lemire 2019, "Fast random integer generation in an interval").
  /// A bound below 1 gives 0.
  public mutating func integer(below bound: Int) -> Int {
    guard bound > 1 else { return 0 }
    let n = UInt64(bound)
    var product = next().multipliedFullWidth(by: n)
    if product.low < n {
      let threshold = (0 &- n) % n
      while product.low < threshold { product = next().multipliedFullWidth(by: n) }
    }
    return Int(product.high)
  }

  /// A multiple of 2⁻⁵³, uniform in [0, 1).
  public mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Uniform in [low, high).
  public mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * unit() }

  /// A standard normal number, by Marsaglia's polar method; the second number of each pair is dropped so that the
  /// state is the four words alone.
  public mutating func normal() -> Double {
    while true {
      let u = 2 * unit() - 1
      let v = 2 * unit() - 1
      let s = u * u + v * v
      if s > 0, s < 1 { return u * (-2 * ExactMath.logarithm(s) / s).squareRoot() }
    }
  }

  /// Puts the elements in a uniformly random order (Fisher and Yates, from the last place down).
  public mutating func shuffle<T>(_ values: inout [T]) {
    var place = values.count - 1
    while place > 0 {
      values.swapAt(place, integer(below: place + 1))
      place -= 1
    }
  }

  /// A uniformly random order of 0 ..< `count`.
  public mutating func permutation(count: Int) -> [Int] {
    var order = Array(0..<max(count, 0))
    shuffle(&order)
    return order
  }
}
