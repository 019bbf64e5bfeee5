// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import Tensors

extension Problem {
  static let normalization: [Problem] = [
    Problem("batch norm, running") { source in
      let norm = try BatchNorm2d(channels: 4)
      try source.unsettle(norm)
      return .init(
        model: Sequential(
          try source.convolution(2, 4, [3, 3]), norm, Activation(.relu), Flatten(), try source.linear(36, 3)),
        input: try source.normal([5, 2, 5, 5]))
    },
    Problem("batch norm over [B, C]") { source in
      let norm = try BatchNorm2d(channels: 6)
      try source.unsettle(norm)
      return .init(
        model: Sequential(try source.linear(4, 6), norm, Activation(.relu), try source.linear(6, 3)),
        input: try source.normal([5, 4]))
    },
    Problem("batch norm, batch") { source in
      let norms = try [BatchNorm2d(channels: 4), BatchNorm2d(channels: 3)]
      for norm in norms { try source.unsettle(norm) }
      let model = Sequential(
        try source.convolution(2, 4, [3, 3]), norms[0], Activation(.relu), try source.convolution(4, 3, [2, 2]),
        norms[1], Activation(.tanh))
      let input = try source.normal([5, 2, 5, 5])
      // The oracle meets the batch's statistics as running ones.
      func freeze() throws {
        var value = input
        for step in model.steps {
          if let norm = step.module as? BatchNorm2d {
            let flat = try value.detach().transpose(0, 1).reshape([value.size(1), -1])
            let mean = try flat.mean([1])
            norm.runningMean.value = mean
            norm.runningVariance.value = try (flat - mean.unsqueeze(1)).squared().mean([1])
          }
          value = try step.module.forward(value, in: .evaluation())
        }
      }
      return .init(model: model, input: input, batchNormPolicy: .batch, beforeOracle: freeze)
    },
    Problem("group norm") { source in
      let norm = try GroupNorm(groups: 2, channels: 6)
      try source.unsettle(norm)
      return .init(
        model: Sequential(try source.convolution(2, 6, [3, 3]), norm, Activation(.relu)),
        input: try source.normal([4, 2, 5, 4]))
    },
    Problem("layer norm") { source in
      let norm = try LayerNorm(size: 6)
      try source.unsettle(norm)
      return .init(
        model: Sequential(try source.linear(5, 6), norm, Activation(.gelu), try source.linear(6, 2)),
        input: try source.normal([5, 5]))
    },
    Problem("layer norm over [B, T, D] with a scale of zero") { source in
      let norm = try LayerNorm(size: 6)
      try source.unsettle(norm)
      try norm.weight?.value.detach().fill(0)
      return .init(model: Sequential(try source.linear(5, 6), norm), input: try source.normal([3, 4, 5]))
    },
    Problem("layer norm applied twice") { source in
      let norm = try LayerNorm(size: 6)
      try source.unsettle(norm)
      let linear = try source.linear(6, 6)
      return .init(
        model: Sequential([("norm1", norm), ("linear", linear), ("norm2", norm)]), input: try source.normal([3, 6]))
    },
  ]

  static let gated: [Problem] = [
    Problem("gated linear unit") {
      .init(
        model: Sequential(
          try $0.linear(5, 6), try GatedLinear(inputs: 6, outputs: 3, generator: $0.generator), try $0.linear(3, 2)),
        input: try $0.normal([5, 5]))
    },
    Problem("gated linear unit over [B, T, D], applied twice") {
      let gated = try GatedLinear(inputs: 4, outputs: 4, function: .gelu, generator: $0.generator)
      return .init(model: Sequential(gated, gated), input: try $0.normal([3, 7, 4]))
    },
    Problem("gated linear unit of one example, input and output") {
      .init(
        model: try GatedLinear(inputs: 1, outputs: 1, function: .sigmoid, generator: $0.generator),
        input: try $0.normal([1, 1]))
    },
  ]

  static let sharing: [Problem] = [
    Problem("embedding") {
      .init(
        model: Sequential(
          try Embedding(count: 6, size: 3, generator: $0.generator), Flatten(), try $0.linear(12, 2)),
        input: try Tensor([0, 1, 2, 3, 5, 5, 5, 5, 1, 0, 1, 0], shape: [3, 4]))
    },
    Problem("embedding of one index each") {
      .init(model: try Embedding(count: 4, size: 3, generator: $0.generator), input: try Tensor([2, 0, 2]))
    },
    Problem("embedding tied to the last layer") {
      let embedding = try Embedding(count: 5, size: 3, generator: $0.generator)
      let middle = try $0.linear(3, 3)
      let last = try Linear(weight: embedding.weight, bias: Parameter($0.normal([5])))
      return .init(
        model: Custom([("embedding", embedding), ("middle", middle), ("last", last)]) { input, context in
          let hidden = try middle.forward(embedding.forward(input, in: context), relu: true, in: context)
          return try last.forward(hidden, in: context)
        }, input: try Tensor([0, 1, 1, 4, 4, 4, 2, 3], shape: [4, 2]))
    },
    Problem("two linears share a weight") {
      let first = try $0.linear(4, 4)
      let second = try Linear(weight: first.weight, bias: Parameter($0.normal([4])))
      return .init(
        model: Sequential(
          first, Activation(.relu), try $0.linear(4, 4), Activation(.tanh), second), input: try $0.normal([5, 4]))
    },
    Problem("two linears share a bias, one applied twice") {
      let first = try $0.linear(4, 4)
      let second = try Linear(weight: Parameter($0.normal([4, 4])), bias: first.bias)
      return .init(
        model: Sequential(second, Activation(.relu), first, Activation(.tanh), second), input: try $0.normal([5, 4]))
    },
    Problem("sharing through a third layer") {
      let first = try $0.linear(4, 4)
      let third = try $0.linear(4, 4)
      let bridge = try Linear(weight: first.weight, bias: third.bias)
      return .init(
        model: Sequential(first, Activation(.tanh), third, Activation(.tanh), bridge), input: try $0.normal([5, 4]))
    },
  ]

  static let special: [Problem] = [
    Problem("layers that the loss does not use") {
      let body = try $0.linear(4, 5)
      let used = try $0.linear(5, 3)
      let computed = try $0.linear(5, 2)
      let idle = try $0.convolution(2, 3, [3, 3])
      return .init(
        model: Custom([("body", body), ("computed", computed), ("idle", idle), ("used", used)]) { input, context in
          let hidden = try body.forward(input, relu: true, in: context)
          _ = try computed.forward(hidden, in: context)
          return try used.forward(hidden, in: context)
        }, input: try $0.normal([5, 4]), allowsUnusedParameters: true)
    },
    Problem("one of two layers that share a weight is not used") {
      let first = try $0.linear(4, 4)
      let idle = try Linear(weight: first.weight, bias: Parameter($0.normal([4])))
      return .init(
        model: Custom([("idle", idle), ("first", first)]) { try first.forward($0, in: $1) },
        input: try $0.normal([5, 4]), allowsUnusedParameters: true)
    },
    Problem("a layer of one's own that records two pairs of factors, applied twice") {
      let bottleneck = try Bottleneck($0, size: 5, rank: 3)
      return .init(
        model: Sequential([("first", bottleneck), ("linear", try $0.linear(5, 5)), ("second", bottleneck)]),
        input: try $0.normal([4, 5]))
    },
    Problem("layer with a rule of its own") {
      .init(
        model: Sequential(try $0.linear(4, 5), try FactoredScale($0, size: 5), try $0.linear(5, 2)),
        input: try $0.normal([4, 4]))
    },
    Problem("layer with a rule of its own, applied twice") {
      let scale = try FactoredScale($0, size: 5)
      return .init(
        model: Sequential(scale, try $0.linear(5, 5), scale, Activation(.tanh)), input: try $0.normal([4, 5]))
    },
    Problem("unknown layer one by one") {
      .init(
        model: Sequential(try $0.linear(4, 5), try Scale($0, size: 5), Activation(.tanh), try $0.linear(5, 2)),
        input: try $0.normal([4, 4]), unknownLayers: .oneByOne)
    },
    Problem("nothing but unknown layers") {
      .init(
        model: Sequential(try Scale($0, size: 5), Activation(.tanh), try Scale($0, size: 5)),
        input: try $0.normal([4, 5]), unknownLayers: .oneByOne)
    },
    Problem("unknown layer that shares with a known one") {
      let scale = try Scale($0, size: 4)
      let linear = try Linear(weight: Parameter($0.normal([4, 4])), bias: scale.scale)
      return .init(
        model: Sequential(linear, Activation(.tanh), scale, try $0.linear(4, 3)), input: try $0.normal([3, 4]),
        unknownLayers: .oneByOne)
    },
  ]
}
