// SPDX-License-Identifier: Apache-2.0

import NeuralNetworks
import Tensors
import TestSupport
import Testing

@Suite struct ModelSpecificationTests {
  @Test(arguments: [
    ("linear", []), ("mlp:1", [1]), ("mlp:2048", [2048]), ("mlp:256,256,256", [256, 256, 256]),
    ("mlp:1048576", [1 << 20]),
  ]) func isParsed(_ text: String, _ hidden: [Int]) throws {
    let specification = try ModelSpecification(text)
    #expect(specification.hidden == hidden)
    #expect(specification.description == text)
    #expect(try ModelSpecification(specification.description) == specification)
  }

  @Test(arguments: [
    "", "mlp", "mlp:", "mlp:0", "mlp:-3", "mlp:99999999999999999999", "mlp:1048577", "mlp:1,,2", "mlp:,", "mlp:1,",
    "mlp:,1", "mlp:1.5", "mlp:1e3", "mlp: 1", "mlp:1 ", "mlp:x", "mlp:1:2", "mlp:0x10", "mlp:+", "mlp:٣", "MLP:3",
    "resnet", "linear:3", "linear ", ":", ":::", "mlp;3", "mlp3", "mlp:-9223372036854775808", "\0", "mlp:1\n", "🙂",
  ]) func isRefused(_ text: String) {
    #expect {
      try ModelSpecification(text)
    } throws: { error in
      (error as? ModelError)?.description.contains("mlp:WIDTH") == true
    }
  }

  @Test func buildsLayersInOrder() throws {
    let model = try ModelSpecification("mlp:5,4").build(
      exampleShape: [12], classes: 3, initializer: .xavierScaled, generator: Generator(seed: 1))
    #expect(model.parameterCount == 12 * 5 + 5 + 5 * 4 + 4 + 4 * 3 + 3)
    #expect(try model.forward(Tensor.zeros([2, 3, 4]), in: .evaluation()).shape == [2, 3])
    #expect(try model.forward(Tensor.zeros([0, 3, 4]), in: .evaluation()).shape == [0, 3])
    let linear = try ModelSpecification("linear").build(
      exampleShape: [12], classes: 3, initializer: .pytorch, generator: Generator(seed: 1))
    #expect(linear.namedParameters.map(\.name) == ["fc1.weight", "fc1.bias"])
    #expect(throws: TensorError.self) {
      try ModelSpecification("mlp:1048576,1048576").build(
        exampleShape: [1 << 40], classes: 3, initializer: .pytorch, generator: Generator(seed: 1))
    }
  }

  @Test func theSeedDecides() throws {
    func weights(_ seed: UInt64) throws -> [UInt8] {
      let model = try ModelSpecification("mlp:5").build(
        exampleShape: [4], classes: 3, initializer: .xavier, generator: Generator(seed: seed))
      return try bytes(of: ParameterStore(model).values)
    }
    #expect(try weights(3) == weights(3))
    #expect(try weights(3) != weights(4))
  }
}

@Suite struct InitializerTests {
  @Test(arguments: Initializer.allCases) func momentsAndBounds(_ initializer: Initializer) throws {
    let (fanIn, fanOut) = (150, 50)
    let generator = try Generator(seed: 17)
    let tensor = try initializer.weight([fanOut, fanIn], fanIn: fanIn, fanOut: fanOut, generator: generator)
    #expect(try tensor.shape == [fanOut, fanIn] && tensor.dtype == .float32)
    let values: [Double] = try tensor.values()
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    let deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
    let (expected, bound): (Double, Double?) =
      switch initializer {
      case .xavier: ((2.0 / 200).squareRoot(), nil)
      case .xavierUniform: ((2.0 / 200).squareRoot(), (6.0 / 200).squareRoot())
      case .xavierScaled: ((4.0 / 200).squareRoot(), nil)
      case .kaiming: ((2.0 / 150).squareRoot(), nil)
      case .pytorch: ((1.0 / 450).squareRoot(), (1.0 / 150).squareRoot())
      }
    // Five standard errors of a mean and of a deviation.
    #expect(abs(mean) < 5 * expected / count.squareRoot())
    #expect(abs(deviation / expected - 1) < 5 / (2 * count).squareRoot())
    if let bound { #expect(values.allSatisfy { abs($0) <= bound * 1.0001 }) }
    try expectIdentical(
      initializer.weight([fanOut, fanIn], fanIn: fanIn, fanOut: fanOut, generator: Generator(seed: 17)), tensor)
    let bias: [Double] = try initializer.bias(1000, fanIn: fanIn, generator: generator).values()
    if initializer == .pytorch {
      let largest = 1 / Double(fanIn).squareRoot()
      #expect(bias.allSatisfy { abs($0) <= largest * 1.0001 } && bias.contains { abs($0) > 0.9 * largest })
    } else {
      #expect(bias.allSatisfy { $0 == 0 })
    }
  }

  @Test func fansCannotOverflow() throws {
    for initializer in Initializer.allCases {
      let weight = try initializer.weight([2], fanIn: .max, fanOut: .max, generator: Generator(seed: 1))
      #expect(try weight.isFinite().all().values() == [true])
    }
  }
}

@Suite struct LinearPolicyTests {
  @Test func rules() {
    let onednn = LinearPlan(forward: .onednn, weightGradient: .tiled, inputGradient: .onednn)
    let tiled = LinearPlan(forward: .native, weightGradient: .tiled, inputGradient: .native)
    #expect(LinearPolicy.native.plan(batch: 100, inputs: 784, outputs: 2048) == .native)
    #expect(LinearPolicy(rule: .onednn).plan(batch: 1, inputs: 1, outputs: 1) == onednn)
    let sized = LinearPolicy(rule: .sized)
    #expect(sized.plan(batch: 100, inputs: 784, outputs: 2048) == onednn)
    #expect(sized.plan(batch: 100, inputs: 256, outputs: 10) == tiled)
    #expect(sized.plan(batch: 100, inputs: 100, outputs: 100) == onednn)
    #expect(sized.plan(batch: 99, inputs: 100, outputs: 100) == tiled)
    #expect(sized.plan(batch: 0, inputs: 0, outputs: 0) == tiled)
    #expect(LinearPolicy.suited(toVendor: "AuthenticAMD") == sized)
    for vendor in ["GenuineIntel", "", "unknown", "0x41"] {
      #expect(LinearPolicy.suited(toVendor: vendor) == .native)
    }
    _ = sized.plan(batch: .max, inputs: .max, outputs: .max)
  }
}
