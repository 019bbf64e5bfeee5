// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Tensors

@Suite struct AutogradTests {
  @Test(arguments: unaryCases) func unaryGradients(_ unary: UnaryCase) throws {
    // Away from the kinks at 0 and at the ends of clamp.
    for shape in [[], [1], [3, 2], [2, 1, 3]] {
      try expectGradients(at: [randomTensor(shape, seed: 3, low: 0.3, high: 1.1)]) { try unary.apply($0[0]) }
      if unary.low < 0 {
        try expectGradients(at: [randomTensor(shape, seed: 4, low: -0.4, high: -0.1)]) { try unary.apply($0[0]) }
      }
    }
  }

  @Test(arguments: binaryCases) func binaryGradients(_ binary: BinaryCase) throws {
    let shapes: [([Int], [Int])] = [([], []), ([2, 3], [2, 3]), ([2, 3], [3]), ([2, 1], [1, 4]), ([1], [3, 2])]
    for (left, right) in shapes {
      let a = try randomTensor(left, seed: 5, low: 0.4, high: 2)
      let b = try randomTensor(right, seed: 6, low: 0.4, high: 2)
      try expectGradients(at: [a, b]) { try binary.apply($0[0], $0[1]) }
    }
  }

  @Test func gradientsOfViewsAndCopies() throws {
    let x = try randomTensor([2, 3, 4], seed: 7)
    try expectGradients(at: [x]) { try $0[0].reshape([4, 6]) }
    try expectGradients(at: [x]) { try $0[0].transpose(0, 2).contiguous() }
    try expectGradients(at: [x]) { try $0[0].permute([1, 2, 0]).squared() }
    try expectGradients(at: [x]) { try $0[0].narrow(1, from: 1, length: 2) }
    try expectGradients(at: [x]) { try $0[0].select(-1, 3).unsqueeze(0).squeeze(0) }
    try expectGradients(at: [randomTensor([3, 1], seed: 8)]) { try $0[0].expand([2, 3, 4]) }
    try expectGradients(at: [x]) { try $0[0].clone().to(.float64) }
    try expectGradients(at: [x, x]) { try Tensor.concatenate([$0[0], $0[1], $0[0]], dimension: 1) }
    try expectGradients(at: [x]) { try $0[0].indexSelect(1, Tensor([2, 0, 2])) }
    let picks = try Tensor([1, 0, 2, 2, 0, 1, 1, 1], shape: [2, 1, 4])
    try expectGradients(at: [x]) { try $0[0].gather(1, picks) }
    let condition = try randomTensor([2, 3, 4], seed: 9, dtype: .bool)
    try expectGradients(at: [x, x.squared()]) { try Tensor.select($0[0], where: condition, else: $0[1]) }
  }

  @Test func gradientsOfReductions() throws {
    let x = try randomTensor([3, 4], seed: 10, low: 0.2, high: 3)
    try expectGradients(at: [x]) { try $0[0].sum() }
    try expectGradients(at: [x]) { try $0[0].sum([0], keepingDimensions: true) }
    try expectGradients(at: [x]) { try $0[0].mean([1]) }
    try expectGradients(at: [x]) { try $0[0].mean() }
    try expectGradients(at: [x]) { try $0[0].largest(1) }
    try expectGradients(at: [x]) { try $0[0].top(2).values }
    try expectGradients(at: [x]) { try $0[0].sorted(dimension: 0).values }
    try expectGradients(at: [x]) { try $0[0].softmax() }
    try expectGradients(at: [x]) { try $0[0].logSoftmax(0) }
    try expectGradients(at: [x, randomTensor([4, 2], seed: 11)]) { try $0[0].matmul($0[1]) }
    try expectGradients(at: [randomTensor([2, 3, 4], seed: 12), randomTensor([4, 1], seed: 13)]) {
      try $0[0].matmul($0[1])
    }
    let targets = try Tensor([3, 0, 1])
    try expectGradients(at: [x]) { try $0[0].crossEntropy(targets: targets) }
    try expectGradients(at: [rearranged(x)]) { try $0[0].crossEntropy(targets: targets).mean() }
  }

  @Test func unusedInputsHaveNoGradient() throws {
    let a = try leaf(Tensor([1.0, 2]))
    let b = try leaf(Tensor([3.0]))
    let gradients = try (a * a).sum().gradients(withRespectTo: [b, a])
    #expect(gradients[0] == nil)
    try expectClose(#require(gradients[1]), [2, 4], shape: [2])
    #expect(try a.sum().gradients(withRespectTo: []).isEmpty)
  }

  @Test func whatHasNoGradientIsAnError() throws {
    let x = try leaf(Tensor([1.0, 2]))
    let plain = try Tensor([1.0, 2])
    let y = try x * x
    expectTensorError(.invalid, "gradients", operands: ["float64 [2]", "float64 [2]"], containing: "scalar") {
      try y.gradients(withRespectTo: [x])
    }
    expectTensorError(.invalid, "gradients", operands: ["float64 [2]", "float64 [3]", "float64 [2]"]) {
      try y.gradients(withRespectTo: [x], weights: .ones([3], dtype: .float64))
    }
    expectTensorError(.invalid, "gradients") { try plain.sum().gradients(withRespectTo: [x]) }
    expectTensorError(.invalid, "gradients") { try y.sum().gradients(withRespectTo: [plain]) }
    expectTensorError(.invalid, "backward", operands: ["float64 [2]"]) { try plain.backward() }
    expectTensorError(.invalid, "backward", operands: ["float64 [2]"]) { try y.backward() }
  }

  @Test func backwardTwiceNeedsARetainedGraph() throws {
    let x = try leaf(Tensor([1.0, 2], shape: [1, 2]))
    let weight = try leaf(randomTensor([3, 2], seed: 1))
    let target = try Tensor([1])
    for loss in [
      try x.exponential().sum(), try x.crossEntropy(targets: target).sum(),
      try x.linear(weight: weight, bias: nil, relu: true).squared().sum(),
    ] {
      let first = try loss.gradients(withRespectTo: [x], retainGraph: true)
      let second = try loss.gradients(withRespectTo: [x])
      try expectIdentical(#require(first[0]), #require(second[0]))
      #expect(throws: TensorError.self) { try loss.gradients(withRespectTo: [x]) }
    }
    let losses = try x.crossEntropy(targets: target)
    _ = try losses.gradients(withRespectTo: [x], weights: .ones([1], dtype: .float64))
    #expect(throws: TensorError.self) {
      try losses.gradients(withRespectTo: [x], weights: .ones([1], dtype: .float64))
    }
  }

  @Test func secondDerivatives() throws {
    let x = try leaf(Tensor([0.5, -1, 2]))
    let first = try #require(x.power(4).sum().gradients(withRespectTo: [x], createGraph: true)[0])
    try expectClose(first, [0.5, -4, 32], shape: [3])
    let second = try #require(first.sum().gradients(withRespectTo: [x])[0])
    try expectClose(second, [3, 12, 48], shape: [3])
    let losses = try x.reshape([1, 3]).crossEntropy(targets: Tensor([0]))
    expectTensorError(.notImplemented, "gradients", containing: "log softmax") {
      try losses.sum().gradients(withRespectTo: [x], createGraph: true)
    }
  }

  @Test func gradModeNests() throws {
    struct Stop: Error {}
    let x = try leaf(Tensor([2.0]))
    func records() -> Bool { (try? x * 2)?.requiresGradient == true }
    #expect(records())
    withoutGradients {
      #expect(!records())
      withoutGradients { #expect(!records()) }
      #expect(!records())
      withGradients { #expect(records()) }
      #expect(throws: Stop.self) { try withGradients { throw Stop() } }
      #expect(!records())
    }
    #expect(records())
    #expect(throws: Stop.self) { try withoutGradients { throw Stop() } }
    #expect(records())
    #expect(try !x.detach().requiresGradient)
    try x.setRequiresGradient(false)
    #expect(!records())
  }

  @Test func aStepLeavesNothingBehind() throws {
    let weight = try leaf(randomTensor([4, 3], seed: 1), dtype: .float32)
    let input = try randomTensor([5, 3], seed: 2)
    let targets = try randomTargets(5, classes: 4, seed: 3)
    try withLeakCheck {
      for _ in 0..<3 {
        let loss = try input.linear(weight: weight, bias: nil, relu: true).crossEntropy(targets: targets).mean()
        _ = try loss.gradients(withRespectTo: [weight])
        _ = try? loss.gradients(withRespectTo: [weight])
        _ = try input.linear(weight: weight, bias: nil)
      }
    }
  }
}

@Suite struct GradientViewTests {
  @Test func theFirstWriteOverwritesLaterOnesAdd() throws {
    let parameter = try leaf(Tensor([1.0, 2]))
    let gradientView = try GradientView(destination: Tensor([100.0, .nan]))
    #expect(!gradientView.isWritten)
    for _ in 0..<2 {
      gradientView.arm()
      try (parameter.writingGradient(gradientView) * 3).sum().backward()
      #expect(gradientView.isWritten)
      try expectClose(gradientView.destination, [3, 3], shape: [2])
    }
    try (parameter.writingGradient(gradientView) * 4).sum().backward()
    try expectClose(gradientView.destination, [7, 7], shape: [2])
    // Used twice in one pass, by two taps or through one.
    gradientView.arm()
    let tap = try parameter.writingGradient(gradientView)
    try (tap.squared().sum() + parameter.writingGradient(gradientView).sum() + tap.sum()).backward()
    try expectClose(gradientView.destination, [4, 6], shape: [2])
  }

  @Test func aTapIsTheParameter() throws {
    let parameter = try leaf(Tensor([1.0, 2]))
    let gradientView = try GradientView(destination: Tensor([0.0, 0]))
    let tap = try parameter.writingGradient(gradientView)
    try expectIdentical(tap, parameter)
    #expect(tap.requiresGradient)
    let unrecorded = try withoutGradients { try parameter.writingGradient(gradientView) }
    #expect(!unrecorded.requiresGradient)
    try parameter.fill(8)
    #expect(try tap.values() == [8.0, 8])
    // Autograd gets nothing when the gradientView does.
    #expect(try tap.sum().gradients(withRespectTo: [parameter])[0] == nil)
  }

  @Test func sinksFreedBeforeBackward() throws {
    try withLeakCheck {
      let parameter = try leaf(randomTensor([2, 3], seed: 1), dtype: .float32)
      let destination = try Tensor.full([2, 3], .nan)
      for plan in [LinearPlan.native, .tiled] {
        func loss() throws -> Tensor {
          let gradientView = try GradientView(destination: destination)
          let output = try Tensor.ones([1, 3]).linear(
            weight: parameter, bias: nil, plan: plan, weightView: gradientView)
          return try output.sum() + parameter.writingGradient(gradientView).sum()
        }
        let gradientViews = Runtime.liveHandles.gradientViews
        let total = try loss()
        #expect(Runtime.liveHandles.gradientViews <= gradientViews)
        try total.backward()
        #expect(try destination.isFinite().all().values() == [true])
      }
    }
  }

  @Test func sinksThatDoNotFitAreRefused() throws {
    let parameter = try leaf(Tensor([1.0, 2]))
    let small = try GradientView(destination: Tensor([0.0]))
    expectTensorError(.invalid, "writingGradient", operands: ["float64 [2]"]) { try parameter.writingGradient(small) }
    expectTensorError(.invalid, "GradientView") { try GradientView(destination: Tensor.zeros([2, 3]).transpose()) }
    expectTensorError(.invalid, "GradientView") { try GradientView(destination: parameter) }
    let input = try Tensor.ones([4, 3])
    let weight = try leaf(Tensor.ones([5, 3]), dtype: .float32)
    let bias = try leaf(Tensor.ones([5]), dtype: .float32)
    for destination in [
      try Tensor.zeros([1, 3]), try Tensor.zeros([5]), try Tensor.zeros([3, 5]),
      try Tensor.zeros([5, 3], dtype: .float64),
    ] {
      let gradientView = try GradientView(destination: destination)
      expectTensorError(.invalid, "linear", containing: "sink of the weight") {
        try input.linear(weight: weight, bias: bias, plan: .tiled, weightView: gradientView)
      }
    }
    let tiny = try GradientView(destination: Tensor.zeros([4]))
    expectTensorError(.invalid, "linear", containing: "sink of the bias") {
      try input.linear(weight: weight, bias: bias, plan: .tiled, biasView: tiny)
    }
    expectTensorError(.invalid, "linear") { try input.linear(weight: weight, bias: nil, biasView: tiny) }
  }

  @Test func changedParametersAreNoticed() throws {
    let flat = try randomTensor([6], seed: 1)
    let weight = try flat.reshape([2, 3]).detach()
    try weight.setRequiresGradient(true)
    let input = try leaf(Tensor.ones([1, 3]), dtype: .float32)
    let loss = try input.linear(weight: weight, bias: nil).sum()
    _ = try loss.gradients(withRespectTo: [input], retainGraph: true)
    _ = try flat.updateSGD(gradient: Tensor.ones([6]), velocity: nil, SGDUpdate(learningRate: 1))
    expectTensorError(.invalid, "gradients", containing: "modified") { try loss.gradients(withRespectTo: [input]) }
  }
}
