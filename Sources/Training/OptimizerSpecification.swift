// SPDX-License-Identifier: Apache-2.0

import Aggregation
import NeuralNetworks

/// How the examples' gradients become a step, as a word: an aggregator ("m3", "winsorized:c=2"), which SGD follows, or an
/// aggregator and what follows it, joined by a plus ("m3+adamw", "rm3+adam:beta2=0.99"); "adam" and "adamw" alone follow
/// the mean.
public struct OptimizerSpecification: Sendable, Equatable, CustomStringConvertible {
  /// What follows the aggregator.
  private enum Update: Sendable, Equatable {
    case sgd
    case adam(beta1: Double, beta2: Double, epsilon: Double, isDecoupled: Bool)
  }

  /// The word.
  public let description: String
  /// How the gradients of a step become one.
  public let aggregator: AggregatorSpecification
  private let update: Update

  /// Parses a word.
  ///
  /// - Throws: `AggregationError` or `TrainingError` that says what was expected.
  public init(_ word: String) throws {
    description = word
    let parts = Self.parts(of: word)
    aggregator = try AggregatorSpecification(parts.aggregator)
    update = try parts.update.map { try Self.update($0, in: word) } ?? .sgd
  }

  /// A plus may also stand in a number, so only one before a name counts.
  private static func parts(of word: String) -> (aggregator: String, update: String?) {
    let names = ["adam", "sgd"]
    if names[0...0].contains(where: word.hasPrefix) { return ("sgd", word) }
    guard let plus = word.lastIndex(of: "+"), let next = word.index(plus, offsetBy: 1, limitedBy: word.endIndex),
      names.contains(where: word[next...].hasPrefix)
    else { return (word, nil) }
    return (String(word[..<plus]), String(word[next...]))
  }

  private static func update(_ text: String, in word: String) throws -> Update {
    func failure(_ what: String) -> TrainingError {
      TrainingError(
        .configuration,
        "optimizer \"\(word)\": \(what); write adam or adamw, with settings such as adamw:beta1=0.9,beta2=0.999,epsilon=1e-8"
      )
    }
    let halves = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    if text == "sgd" { return .sgd }
    guard ["adam", "adamw"].contains(halves[0]) else { throw failure("there is no \"\(halves[0])\"") }
    var settings = ["beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8]
    for setting in halves.count == 2 ? halves[1].split(separator: ",", omittingEmptySubsequences: false) : [] {
      let sides = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard settings[sides[0]] != nil, sides.count == 2, let value = Double(sides[1]) else {
        throw failure("\"\(setting)\" is not understood")
      }
      settings[sides[0]] = value
    }
    let (beta1, beta2, epsilon) = (settings["beta1"] ?? 0, settings["beta2"] ?? 0, settings["epsilon"] ?? 0)
    guard beta1 >= 0, beta1 < 1, beta2 >= 0, beta2 < 1, epsilon > 0, epsilon.isFinite else {
      throw failure("beta1 and beta2 must be at least 0 and below 1, and epsilon above 0")
    }
    return .adam(beta1: beta1, beta2: beta2, epsilon: epsilon, isDecoupled: halves[0] == "adamw")
  }

  /// Whether momentum is a setting of its own: Adam has it in β₁.
  public var takesMomentum: Bool { update == .sgd }

  /// Buffers of the size of the parameters that the update keeps.
  func bufferCount(momentum: Double) -> Int { update == .sgd ? (momentum > 0 ? 1 : 0) : 2 }

  /// A new optimizer.
  ///
  /// - Throws: `TensorError` when memory runs out.
  public func makeOptimizer(
    _ store: ParameterStore, momentum: Double, nesterov: Bool, weightDecay: Double
  ) throws -> any Optimizer {
    switch update {
    case .sgd: try SGD(store: store, momentum: momentum, nesterov: nesterov, weightDecay: weightDecay)
    case .adam(let beta1, let beta2, let epsilon, let isDecoupled):
      try Adam(
        store: store, beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: weightDecay, isDecoupled: isDecoupled)
    }
  }
}
