// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import Tensors

/// The gradient signal-to-noise ratio of a layer (Liu et al. 2020).
public struct LayerGSNR: Sendable, Equatable {
  /// The layer's name, or "all" for the network.
  public let layer: String
  /// The mean of the parameters' ratios, over those that have one; nil without any.
  public let mean: Double?
  /// The number of parameters that have a ratio.
  public let definedCount: Int
  /// The number of parameters.
  public let parameterCount: Int
}

/// GSNR of a sample of m examples.
public struct GSNRResult {
  /// m.
  public let m: Int
  /// The network, under the name "all".
  public let network: LayerGSNR
  /// The layers in the order of the parameters.
  public let layers: [LayerGSNR]
  /// r for every parameter, float64 [P]; 0 where it has none.
  public let ratios: Tensor
  /// Whether a parameter has a ratio, bool [P].
  public let isDefined: Tensor
}

/// Streams gradient matrices for the gradient signal-to-noise ratio of every parameter j:
/// **rⱼ = (E gⱼ)²/Var(gⱼ)**, mean and variance over the m examples of the sample (the variance divided by m).
///
/// From Σgⱼ and Σgⱼ², added up in double; memory does not grow with m, and parts merge. A parameter whose gradient does
/// not vary beyond rounding (such as the weights of a pixel that is always 0) has no ratio. The variance is a difference
/// of sums, so ratios above some 10⁵ of a float32 model are rounding.
public final class GSNRAccumulator {
  private let plan: GradientPlan
  /// m so far.
  public private(set) var count = 0
  private let sum: Tensor
  private let squareSum: Tensor
  private let batch: Tensor
  private var layers: [(name: String, ranges: [Range<Int>])] = []

  /// - Throws: `TensorError` when memory runs out.
  public init(_ plan: GradientPlan) throws {
    self.plan = plan
    let (count, device) = (plan.store.count, plan.store.values.device)
    sum = try Tensor.zeros([count], dtype: .float64, device: device)
    squareSum = try Tensor.zeros([count], dtype: .float64, device: device)
    batch = try Tensor.empty([count], dtype: plan.store.values.dtype, device: device)
  }

  /// Takes in the gradients of a batch.
  public func add(_ matrix: GradientMatrix) throws {
    if layers.isEmpty { layers = matrix.layers.map { ($0.name, $0.ranges) } }
    try matrix.columnSum(into: batch)
    try sum.accumulate(batch)
    try matrix.columnSquareSum(into: batch)
    try squareSum.accumulate(batch)
    count += matrix.exampleCount
  }

  /// Takes in what another accumulator of the same model saw.
  ///
  /// - Throws: `CoherenceError` when the models differ.
  public func merge(_ other: GSNRAccumulator) throws {
    guard other.plan.layerNames == plan.layerNames, other.sum.count == sum.count else {
      throw CoherenceError("accumulators of different models cannot be merged")
    }
    try sum.accumulate(other.sum)
    try squareSum.accumulate(other.squareSum)
    count += other.count
    if layers.isEmpty { layers = other.layers }
  }

  /// The ratios of what was taken in.
  ///
  /// - Throws: `CoherenceError` when nothing was, or a gradient was not finite (named by layer).
  public func result() throws -> GSNRResult {
    guard count > 0 else { throw CoherenceError("there are no gradients to measure: the sample is empty") }
    let meanSquare = try squareSum * (1 / Double(count))
    let squaredMean = try (sum * (1 / Double(count))).squared()
    let variance = try meanSquare - squaredMean
    let rounding = try plan.store.values.dtype == .float64 ? 1e-13 : 1e-6
    let isDefined = try variance.greater(meanSquare * rounding)
    let one = try Tensor.ones([1], dtype: .float64, device: sum.device)
    let ratios = try squaredMean / Tensor.select(variance, where: isDefined, else: one)
    let kept = try ratios * isDefined.to(.float64)
    let byLayer = try layers.map { layer in
      var (total, defined, parameters) = (0.0, 0, 0)
      for range in layer.ranges {
        let finite = try variance.narrow(0, from: range.lowerBound, length: range.count).isFinite().all().item()
        guard finite != 0 else { throw CoherenceError.diverged("a gradient of layer \(layer.name) is not finite") }
        total += try kept.narrow(0, from: range.lowerBound, length: range.count).sum().item()
        defined += try isDefined.narrow(0, from: range.lowerBound, length: range.count).to(.int64).sum().itemInteger()
        parameters += range.count
      }
      return (total, LayerGSNR(layer: layer.name, total: total, definedCount: defined, parameterCount: parameters))
    }
    let network = LayerGSNR(
      layer: "all", total: byLayer.reduce(0) { $0 + $1.0 },
      definedCount: byLayer.reduce(0) { $0 + $1.1.definedCount }, parameterCount: plan.store.count)
    return GSNRResult(
      m: count, network: network, layers: byLayer.map(\.1), ratios: kept, isDefined: isDefined)
  }
}

extension LayerGSNR {
  fileprivate init(layer: String, total: Double, definedCount: Int, parameterCount: Int) {
    self.init(
      layer: layer, mean: definedCount > 0 ? total / Double(definedCount) : nil, definedCount: definedCount,
      parameterCount: parameterCount)
  }
}
