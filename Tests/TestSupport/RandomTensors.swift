// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The SplitMix64 generator: numbers for tests that owe nothing to the library under test.
public struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  /// A generator started from a seed.
  public init(seed: UInt64) { state = seed }

  /// The next 64 bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// `count` numbers uniform on [low, high), the same for the same seed.
public func randomNumbers(_ count: Int, seed: UInt64, low: Double = -1, high: Double = 1) -> [Double] {
  var generator = SplitMix64(seed: seed)
  return (0..<count).map { _ in Double.random(in: low..<high, using: &generator) }
}

/// Elements uniform on [low, high), rounded down for integer types, the same for the same seed.
public func randomTensor(
  _ shape: [Int], seed: UInt64, low: Double = -1, high: Double = 1, dtype: DType = .float32
) throws -> Tensor {
  var numbers = randomNumbers(shape.reduce(1, *), seed: seed, low: low, high: high)
  switch dtype {
  case .int64, .int32, .uint8: numbers = numbers.map { $0.rounded(.down) }
  case .bool: numbers = numbers.map { $0 < (low + high) / 2 ? 0 : 1 }
  case .float32, .float64, .float16, .bfloat16: break
  }
  return try Tensor(numbers, shape: shape).to(dtype)
}

/// Targets from 0..<classes, int64 [count].
public func randomTargets(_ count: Int, classes: Int, seed: UInt64) throws -> Tensor {
  try randomTensor([count], seed: seed, low: 0, high: Double(classes), dtype: .int64)
}

/// The same elements in the same shape, in another order in memory wherever the shape has one.
public func rearranged(_ tensor: Tensor) throws -> Tensor {
  guard tensor.rank > 0 else { return tensor }
  // Every second element of a buffer twice as long, with the dimensions in reversed order.
  let order = Array((0..<tensor.rank).reversed())
  let reversed = try tensor.permute(order).contiguous()
  let gaps = try reversed.clone()
  try gaps.fill(0)
  let spaced = try Tensor.concatenate([reversed.unsqueeze(-1), gaps.unsqueeze(-1)], dimension: -1)
  return try spaced.select(-1, 0).permute(order).detach()
}
