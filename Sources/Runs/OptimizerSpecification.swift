// SPDX-License-Identifier: Apache-2.0

import Aggregation
import RunStore
import Training

/// How the examples' gradients become a step, as a word: an aggregator ("m3", "winsorized:c=2"), which SGD follows, or an
/// aggregator and what follows it, joined by a plus ("m3+adamw", "rm3+adam:beta2=0.99"); "adam" and "adamw" alone follow
/// the mean.
public struct OptimizerSpecification: Sendable, Equatable, CustomStringConvertible {
  /// The word.
  public let description: String
  /// How the gradients of a step become one.
  public let aggregator: AggregatorSpecification
  /// Adam's settings; nil for SGD.
  private let adam: Adam.Settings?

  /// Parses a word.
  ///
  /// - Throws: `AggregationError` or `TrainingError` that says what was expected.
  public init(_ word: String) throws {
    description = word
    let parts = OptimizerDescription.parts(of: word)
    guard AggregatorSpecification.isKnown(parts.aggregator) else {
      throw TrainingError(
        .configuration,
        "there is no optimizer \"\(parts.aggregator)\"; known optimizers: "
          + AggregatorSpecification.known.joined(separator: ", ")
          + ", adam, adamw, and any of these followed by +adam or +adamw")
    }
    aggregator = try AggregatorSpecification(parts.aggregator)
    adam = try parts.update.map { try Self.adam($0, in: word) }
  }

  private static func adam(_ text: String, in word: String) throws -> Adam.Settings {
    func failure(_ what: String) -> TrainingError {
      TrainingError(
        .configuration,
        "optimizer \"\(word)\": \(what); write adam or adamw, with settings such as "
          + "adamw:beta1=0.9,beta2=0.999,epsilon=1e-8")
    }
    let halves = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard ["adam", "adamw"].contains(halves[0]) else { throw failure("there is no \"\(halves[0])\"") }
    var settings = Adam.Settings(isDecoupled: halves[0] == "adamw")
    for setting in halves.count == 2 ? halves[1].split(separator: ",", omittingEmptySubsequences: false) : [] {
      let sides = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard sides.count == 2, let value = Double(sides[1]) else { throw failure("\"\(setting)\" is not understood") }
      switch sides[0] {
      case "beta1": settings.beta1 = value
      case "beta2": settings.beta2 = value
      case "epsilon": settings.epsilon = value
      default: throw failure("\"\(setting)\" is not understood")
      }
    }
    if let problem = settings.problem { throw failure(problem) }
    return settings
  }

  /// Whether momentum is a setting of its own: Adam has it in β₁.
  public var takesMomentum: Bool { adam == nil }

  /// Whether what the weight decay adds is scaled as the gradient is, so that no decay alone makes weights grow.
  var normalisesDecay: Bool { adam.map { !$0.isDecoupled } ?? false }

  /// A new optimizer.
  ///
  /// - Throws: `TrainingError` when a setting is out of its range.
  public func makeOptimizer(momentum: Double, nesterov: Bool, weightDecay: Double) throws -> any Optimizer {
    if let adam { return try Adam(adam, weightDecay: weightDecay) }
    return try SGD(momentum: momentum, nesterov: nesterov, weightDecay: weightDecay)
  }
}
