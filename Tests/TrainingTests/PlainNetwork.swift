// SPDX-License-Identifier: Apache-2.0

import Foundation

@testable import Runs
@testable import Training

/// The oracle: a multi-layer perceptron with ReLU, cross entropy and SGD as plain loops in double precision.
struct PlainNetwork {
  struct Layer {
    var weight: [[Double]]
    var bias: [Double]
  }

  var layers: [Layer]

  /// Takes the parameters of a trainer: fc1.weight, fc1.bias, fc2.weight, ...
  init(_ trainer: Trainer) throws {
    layers = []
    let entries = trainer.store.entries
    for index in stride(from: 0, to: entries.count, by: 2) {
      let shape = entries[index].parameter.shape
      let flat = try entries[index].parameter.value.values(as: Float.self).map(Double.init)
      let rows = (0..<shape[0]).map { Array(flat[($0 * shape[1])..<(($0 + 1) * shape[1])]) }
      layers.append(
        Layer(weight: rows, bias: try entries[index + 1].parameter.value.values(as: Float.self).map(Double.init)))
    }
  }

  /// All parameters in the order of the flat buffer.
  var flat: [Double] { layers.flatMap { $0.weight.flatMap { $0 } + $0.bias } }

  /// Adds `factor` times a flat vector to the parameters.
  mutating func add(_ vector: [Double], times factor: Double) {
    var place = 0
    for layer in layers.indices {
      for row in layers[layer].weight.indices {
        for column in layers[layer].weight[row].indices {
          layers[layer].weight[row][column] += factor * vector[place]
          place += 1
        }
      }
      for row in layers[layer].bias.indices {
        layers[layer].bias[row] += factor * vector[place]
        place += 1
      }
    }
  }

  /// Mean loss of a batch and its gradient, flat.
  func gradient(_ inputs: [[Double]], _ targets: [Int]) -> (loss: Double, gradient: [Double]) {
    var weights = layers.map { $0.weight.map { [Double](repeating: 0, count: $0.count) } }
    var biases = layers.map { [Double](repeating: 0, count: $0.bias.count) }
    var loss = 0.0
    for (input, target) in zip(inputs, targets) {
      var activations = [input]
      for (index, layer) in layers.enumerated() {
        let sums = zip(layer.weight, layer.bias).map { row, bias in
          zip(row, activations[index]).reduce(bias) { $0 + $1.0 * $1.1 }
        }
        activations.append(index + 1 < layers.count ? sums.map { max($0, 0) } : sums)
      }
      let logits = activations[layers.count]
      let top = logits.max() ?? 0
      let exponentials = logits.map { exp($0 - top) }
      let total = exponentials.reduce(0, +)
      loss += log(total) + top - logits[target]
      var delta = exponentials.map { $0 / total }
      delta[target] -= 1
      for index in layers.indices.reversed() {
        for (row, value) in delta.enumerated() {
          biases[index][row] += value
          for column in activations[index].indices { weights[index][row][column] += value * activations[index][column] }
        }
        guard index > 0 else { break }
        delta = activations[index].indices.map { column in
          activations[index][column] <= 0
            ? 0 : delta.indices.reduce(0.0) { $0 + delta[$1] * layers[index].weight[$1][column] }
        }
      }
    }
    let count = Double(inputs.count)
    let flat = zip(weights, biases).flatMap { $0.flatMap { $0 } + $1 }
    return (loss / count, flat.map { $0 / count })
  }
}
