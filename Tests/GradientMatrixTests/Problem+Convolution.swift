// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import Tensors

extension Problem {
  /// A convolution behind another one, so that its input needs a gradient too.
  private static func convolving(
    _ name: String, batch: Int = 3, image: [Int], channels: (Int, Int), _ kernel: [Int], stride: [Int] = [1, 1],
    padding: [Int] = [0, 0], dilation: [Int] = [1, 1], groups: Int = 1, bias: Bool = true
  ) -> Problem {
    Problem("convolution, " + name) { source in
      .init(
        model: Sequential(
          try source.convolution(2, channels.0, [1, 1]), Activation(.tanh),
          try source.convolution(
            channels.0, channels.1, kernel, stride: stride, padding: padding, dilation: dilation, groups: groups,
            bias: bias)),
        input: try source.normal([batch, 2] + image))
    }
  }

  static let convolution: [Problem] = [
    convolving("3x3", image: [6, 6], channels: (3, 4), [3, 3]),
    convolving("padded, no bias", image: [5, 5], channels: (3, 4), [3, 3], padding: [1, 1], bias: false),
    convolving("stride 2", image: [8, 8], channels: (3, 5), [3, 3], stride: [2, 2], padding: [1, 1]),
    convolving("stride 2 with a remainder", image: [6, 8], channels: (3, 5), [3, 3], stride: [2, 2]),
    convolving(
      "unequal strides and padding", image: [9, 7], channels: (2, 3), [3, 2], stride: [3, 2], padding: [0, 1]),
    convolving("dilation 2", image: [9, 9], channels: (2, 3), [3, 3], padding: [2, 2], dilation: [2, 2]),
    convolving("dilation and stride", image: [11, 10], channels: (2, 3), [3, 3], stride: [2, 3], dilation: [1, 2]),
    convolving("two groups", image: [6, 5], channels: (4, 6), [3, 3], padding: [1, 1], groups: 2),
    convolving("three groups with stride", image: [7, 7], channels: (6, 3), [3, 3], stride: [2, 2], groups: 3),
    convolving("depthwise", image: [6, 6], channels: (5, 5), [3, 3], padding: [1, 1], groups: 5),
    convolving("depthwise with two outputs each", image: [5, 5], channels: (3, 6), [3, 3], groups: 3, bias: false),
    convolving("1x1", image: [4, 5], channels: (7, 3), [1, 1]),
    convolving("1x3", image: [5, 6], channels: (3, 4), [1, 3], padding: [0, 1]),
    convolving("5x1", image: [7, 3], channels: (3, 4), [5, 1]),
    convolving("batch of one", batch: 1, image: [5, 7], channels: (3, 2), [3, 3]),
    convolving("window as large as the image", image: [3, 3], channels: (4, 6), [3, 3]),
    // Few positions and wide layers: norms by pairs of positions.
    convolving("paired form", image: [4, 4], channels: (12, 16), [3, 3], stride: [2, 2], padding: [1, 1]),
    convolving("paired form, no bias, odd", batch: 5, image: [5, 4], channels: (13, 11), [3, 3], bias: false),
    Problem("convolution, ResNet block") {
      let first = try $0.convolution(3, 4, [3, 3], padding: [1, 1], bias: false)
      let second = try $0.convolution(4, 4, [3, 3], stride: [2, 2], padding: [1, 1], bias: false)
      let short = try $0.convolution(3, 4, [1, 1], stride: [2, 2])
      let last = try $0.linear(4, 3)
      return .init(
        model: Custom([("conv1", first), ("conv2", second), ("shortcut", short), ("fc", last)]) { input, context in
          let long = try second.forward(first.forward(input, in: context).relu(), in: context)
          let sum = try (long + short.forward(input, in: context)).relu()
          return try last.forward(sum.mean([2, 3]), in: context)
        }, input: try $0.normal([4, 3, 6, 6]))
    },
    Problem("convolution, applied twice") {
      let layer = try $0.convolution(3, 3, [3, 3], padding: [1, 1])
      return .init(
        model: Custom([("cell", layer)]) { input, context in
          try layer.forward(layer.forward(input, in: context).relu(), in: context)
        }, input: try $0.normal([3, 3, 4, 4]))
    },
  ]
}
