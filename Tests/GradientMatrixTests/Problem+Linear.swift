// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import Tensors

extension Problem {
  static let linear: [Problem] =
    [
      Problem("linear") { .init(model: Sequential(try $0.linear(5, 3)), input: try $0.normal([7, 5])) },
      Problem("linear without bias") {
        .init(model: Sequential(try $0.linear(9, 4, bias: false)), input: try $0.normal([3, 9]))
      },
      Problem("linear, batch of one") { .init(model: Sequential(try $0.linear(6, 5)), input: try $0.normal([1, 6])) },
      Problem("linear, one to one") { .init(model: Sequential(try $0.linear(1, 1)), input: try $0.normal([5, 1])) },
      Problem("linear, sizes past the vector width") {
        .init(model: Sequential(try $0.linear(67, 33)), input: try $0.normal([13, 67]))
      },
      Problem("linear on a strided input") {
        .init(model: Sequential(try $0.linear(6, 5)), input: try $0.normal([6, 4]).transpose())
      },
      Problem("linear over [B, T, D], few positions") {
        .init(model: Sequential(try $0.linear(20, 17)), input: try $0.normal([4, 2, 20]))
      },
      Problem("linear over [B, T, D], many positions, no bias") {
        .init(model: Sequential(try $0.linear(3, 2, bias: false)), input: try $0.normal([4, 7, 3]))
      },
      Problem("linear over [B, S, T, D]") {
        .init(model: Sequential(try $0.linear(3, 4)), input: try $0.normal([3, 2, 3, 3]))
      },
      Problem("ReLU fused") {
        .init(
          model: Sequential(try $0.linear(7, 11), Activation(.relu), try $0.linear(11, 5)),
          input: try $0.normal([6, 7]))
      },
      Problem("ReLU fused over [B, T, D]") {
        .init(
          model: Sequential(try $0.linear(7, 11), Activation(.relu), try $0.linear(11, 5)),
          input: try $0.normal([3, 5, 7]))
      },
      Problem("other activations") {
        .init(
          model: Sequential(
            try $0.linear(4, 6), Activation(.gelu), try $0.linear(6, 5), Activation(.tanh), try $0.linear(5, 4),
            Activation(.leakyReLU(slope: 0.1))),
          input: try $0.normal([5, 4]))
      },
      Problem("one linear applied three times") {
        let layer = try $0.linear(5, 5)
        return .init(
          model: Custom([("cell", layer)]) { input, context in
            try (0..<3).reduce(input) { value, _ in try layer.forward(value, relu: true, in: context) }
          }, input: try $0.normal([4, 5]))
      },
      Problem("one linear applied to different positions") {
        let layer = try $0.linear(5, 5, bias: false)
        return .init(
          model: Custom([("cell", layer)]) { input, context in
            let first = try layer.forward(input, in: context).tanh()
            return try layer.forward(first.sum([1]), in: context)
          }, input: try $0.normal([4, 3, 5]))
      },
      Problem("dead ReLU") {
        let first = try $0.linear(4, 6)
        try first.bias?.value.detach().fill(-100)
        return .init(
          model: Sequential(first, Activation(.relu), try $0.linear(6, 3)), input: try $0.normal([5, 4]))
      },
      Problem("gradients that are all zero") {
        .init(
          model: Sequential(try $0.linear(4, 6), Activation(.relu), try $0.linear(6, 3)), input: try $0.normal([5, 4]),
          losses: { try ($0 * 0).sum([1]) })
      },
      Problem("some examples with zero gradients") {
        .init(
          model: Sequential(try $0.linear(4, 3)), input: try $0.normal([4, 4]),
          losses: {
            try $0.sum([1]) * Tensor([1.0, 0, 1, 0]).to($0.dtype)
          })
      },
      Problem("cross entropy") {
        .init(
          model: Sequential(Flatten(), try $0.linear(12, 8), Activation(.relu), try $0.linear(8, 4)),
          input: try $0.normal([5, 3, 4]), losses: { try crossEntropy($0, Tensor([3, 0, 1, 1, 2]), reduction: .none) })
      },
    ]
    + LinearPolicy.Rule.allCases.map { rule in
      Problem("MLP, products by rule \(rule)") {
        .init(
          model: Sequential(
            try $0.linear(31, 17), Activation(.relu), try $0.linear(17, 16), Activation(.relu), try $0.linear(16, 10)),
          input: try $0.normal([9, 31]), linearPolicy: LinearPolicy(rule: rule, threshold: 3000))
      }
    }
}
