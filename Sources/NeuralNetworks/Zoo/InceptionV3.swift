// SPDX-License-Identifier: Apache-2.0

import Tensors

/// A module of Inception-V3: branches of convolutions over one input, joined along the channels.
private final class InceptionBlock: Module {
  /// A branch: what comes before its convolutions, their names, and for the last two of some branches that both are
  /// applied to the same input.
  struct Branch {
    enum Pool { case mean, largest }
    var pool: Pool?
    var units: [(name: String, unit: ConvolutionUnit)] = []
    /// Applied side by side to what the units give.
    var fork: [(name: String, unit: ConvolutionUnit)] = []
  }

  private let branches: [Branch]
  private let mean: AveragePool2d
  private let largest: MaxPool2d

  init(_ branches: [Branch]) throws {
    self.branches = branches
    mean = try AveragePool2d(kernel: 3, stride: 1, padding: 1)
    largest = try MaxPool2d(kernel: 3, stride: 2)
  }

  var members: [ModuleMember] {
    branches.flatMap { branch in (branch.units + branch.fork).map { .module($0.name, $0.unit) } }
  }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    var outputs: [Tensor] = []
    for branch in branches {
      var value = input
      switch branch.pool {
      case .mean: value = try mean(value, in: context)
      case .largest: value = try largest(value, in: context)
      case nil: break
      }
      for step in branch.units { value = try step.unit(value, in: context) }
      outputs += branch.fork.isEmpty ? [value] : try branch.fork.map { try $0.unit(value, in: context) }
    }
    return try Tensor.concatenate(outputs, dimension: 1)
  }
}

/// Makes the branches of one module.
private struct BranchMaker {
  let layers: LayerFactory
  let inputs: Int

  typealias Step = (name: String, outputs: Int, geometry: ConvolutionGeometry)

  func unit(_ name: String, _ inputs: Int, _ outputs: Int, _ geometry: ConvolutionGeometry) throws -> ConvolutionUnit {
    try ConvolutionUnit(layers.at(name), inputs, outputs, geometry, names: .short, epsilon: 1e-3)
  }

  func branch(
    _ steps: [Step], fork: [Step] = [], pool: InceptionBlock.Branch.Pool? = nil
  ) throws -> InceptionBlock.Branch {
    var branch = InceptionBlock.Branch(pool: pool)
    var width = inputs
    for step in steps {
      branch.units.append((step.name, try unit(step.name, width, step.outputs, step.geometry)))
      width = step.outputs
    }
    for step in fork { branch.fork.append((step.name, try unit(step.name, width, step.outputs, step.geometry))) }
    return branch
  }
}

/// Inception-V3 (Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016) without the
/// auxiliary classifier. Its input is taken as it is.
final class InceptionV3: Module {
  private let steps: [(name: String, module: any Module)]
  private let avgpool = AdaptiveAveragePool2d()
  private let dropout: Dropout
  private let fc: Linear

  init(_ plan: ImagePlan) throws {
    let layers = plan.layers
    func unit(
      _ name: String, _ inputs: Int, _ outputs: Int, _ geometry: ConvolutionGeometry
    ) throws -> (name: String, module: any Module) {
      (name, try BranchMaker(layers: layers, inputs: inputs).unit(name, inputs, outputs, geometry))
    }
    let pool = try PoolingGeometry(kernel: 3, stride: 2)
    steps = try [
      unit("Conv2d_1a_3x3", plan.channels, 32, ConvolutionGeometry(square: 3, stride: 2, padding: 0)),
      unit("Conv2d_2a_3x3", 32, 32, ConvolutionGeometry(square: 3, padding: 0)),
      unit("Conv2d_2b_3x3", 32, 64, ConvolutionGeometry(square: 3)),
      ("maxpool1", MaxPool2d(geometry: pool)),
      unit("Conv2d_3b_1x1", 64, 80, ConvolutionGeometry(square: 1)),
      unit("Conv2d_4a_3x3", 80, 192, ConvolutionGeometry(square: 3, padding: 0)),
      ("maxpool2", MaxPool2d(geometry: pool)),
      Self.block35("Mixed_5b", layers, 192, poolChannels: 32),
      Self.block35("Mixed_5c", layers, 256, poolChannels: 64),
      Self.block35("Mixed_5d", layers, 288, poolChannels: 64),
      Self.reductionTo17("Mixed_6a", layers, 288),
      Self.block17("Mixed_6b", layers, 768, width: 128),
      Self.block17("Mixed_6c", layers, 768, width: 160),
      Self.block17("Mixed_6d", layers, 768, width: 160),
      Self.block17("Mixed_6e", layers, 768, width: 192),
      Self.reductionTo8("Mixed_7a", layers, 768),
      Self.block8("Mixed_7b", layers, 1280),
      Self.block8("Mixed_7c", layers, 2048),
    ]
    dropout = try layers.dropout(0.5)
    fc = try layers.linear(2048, plan.classes)
  }

  var members: [ModuleMember] {
    steps.map { .module($0.name, $0.module) }
      + [.module("avgpool", avgpool), .module("dropout", dropout), .module("fc", fc)]
  }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    var value = try input.channelsLast()
    for step in steps { value = try step.module(value, in: context) }
    value = try dropout(avgpool(value, in: context), in: context)
    return try fc(value.reshape([value.size(0), value.size(1)]), in: context)
  }
}

// MARK: - Modules, named by the side of the image they work on at 299×299

extension InceptionV3 {
  private typealias Named = (name: String, module: any Module)

  private static func block35(
    _ name: String, _ layers: LayerFactory, _ inputs: Int, poolChannels: Int
  ) throws -> Named {
    let make = BranchMaker(layers: layers.at(name), inputs: inputs)
    let (one, three) = try (ConvolutionGeometry(square: 1), ConvolutionGeometry(square: 3))
    let block = try InceptionBlock([
      make.branch([("branch1x1", 64, one)]),
      make.branch([("branch5x5_1", 48, one), ("branch5x5_2", 64, ConvolutionGeometry(square: 5))]),
      make.branch([("branch3x3dbl_1", 64, one), ("branch3x3dbl_2", 96, three), ("branch3x3dbl_3", 96, three)]),
      make.branch([("branch_pool", poolChannels, one)], pool: .mean),
    ])
    return (name, block)
  }

  private static func reductionTo17(_ name: String, _ layers: LayerFactory, _ inputs: Int) throws -> Named {
    let make = BranchMaker(layers: layers.at(name), inputs: inputs)
    let half = try ConvolutionGeometry(square: 3, stride: 2, padding: 0)
    let block = try InceptionBlock([
      make.branch([("branch3x3", 384, half)]),
      make.branch([
        ("branch3x3dbl_1", 64, ConvolutionGeometry(square: 1)), ("branch3x3dbl_2", 96, ConvolutionGeometry(square: 3)),
        ("branch3x3dbl_3", 96, half),
      ]),
      make.branch([], pool: .largest),
    ])
    return (name, block)
  }

  private static func block17(_ name: String, _ layers: LayerFactory, _ inputs: Int, width: Int) throws -> Named {
    let make = BranchMaker(layers: layers.at(name), inputs: inputs)
    let one = try ConvolutionGeometry(square: 1)
    let wide = try ConvolutionGeometry(kernel: [1, 7], padding: [0, 3])
    let tall = try ConvolutionGeometry(kernel: [7, 1], padding: [3, 0])
    let block = try InceptionBlock([
      make.branch([("branch1x1", 192, one)]),
      make.branch([("branch7x7_1", width, one), ("branch7x7_2", width, wide), ("branch7x7_3", 192, tall)]),
      make.branch([
        ("branch7x7dbl_1", width, one), ("branch7x7dbl_2", width, tall), ("branch7x7dbl_3", width, wide),
        ("branch7x7dbl_4", width, tall), ("branch7x7dbl_5", 192, wide),
      ]),
      make.branch([("branch_pool", 192, one)], pool: .mean),
    ])
    return (name, block)
  }

  private static func reductionTo8(_ name: String, _ layers: LayerFactory, _ inputs: Int) throws -> Named {
    let make = BranchMaker(layers: layers.at(name), inputs: inputs)
    let one = try ConvolutionGeometry(square: 1)
    let half = try ConvolutionGeometry(square: 3, stride: 2, padding: 0)
    let block = try InceptionBlock([
      make.branch([("branch3x3_1", 192, one), ("branch3x3_2", 320, half)]),
      make.branch([
        ("branch7x7x3_1", 192, one), ("branch7x7x3_2", 192, ConvolutionGeometry(kernel: [1, 7], padding: [0, 3])),
        ("branch7x7x3_3", 192, ConvolutionGeometry(kernel: [7, 1], padding: [3, 0])), ("branch7x7x3_4", 192, half),
      ]),
      make.branch([], pool: .largest),
    ])
    return (name, block)
  }

  private static func block8(_ name: String, _ layers: LayerFactory, _ inputs: Int) throws -> Named {
    let make = BranchMaker(layers: layers.at(name), inputs: inputs)
    let one = try ConvolutionGeometry(square: 1)
    let wide = try ConvolutionGeometry(kernel: [1, 3], padding: [0, 1])
    let tall = try ConvolutionGeometry(kernel: [3, 1], padding: [1, 0])
    let block = try InceptionBlock([
      make.branch([("branch1x1", 320, one)]),
      make.branch([("branch3x3_1", 384, one)], fork: [("branch3x3_2a", 384, wide), ("branch3x3_2b", 384, tall)]),
      make.branch(
        [("branch3x3dbl_1", 448, one), ("branch3x3dbl_2", 384, ConvolutionGeometry(square: 3))],
        fork: [("branch3x3dbl_3a", 384, wide), ("branch3x3dbl_3b", 384, tall)]),
      make.branch([("branch_pool", 192, one)], pool: .mean),
    ])
    return (name, block)
  }
}
