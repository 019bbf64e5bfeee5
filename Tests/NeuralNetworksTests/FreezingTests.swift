// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing

@testable import NeuralNetworks

@Suite struct FreezingTests {
  /// A store of a ResNet-20 with some parameters frozen.
  private func store(_ patterns: [String], of model: String = "resnet20") throws -> ParameterStore {
    let built = try ModelSpecification(model).build(
      exampleShape: [3, 8, 8], classes: 3, generator: Generator(seed: 1))
    let store = try ParameterStore(built)
    try store.freeze(patterns)
    return store
  }

  private func frozen(_ patterns: [String]) throws -> [String] {
    let store = try store(patterns)
    #expect(store.frozenCount + store.trainedRanges.reduce(0) { $0 + $1.count } == store.count)
    return store.entries.filter { entry in
      let isFrozen = store.frozenRanges.contains { $0.contains(entry.range.lowerBound) }
      // A parameter is frozen as a whole or not at all.
      #expect(store.trainedRanges.contains { $0.contains(entry.range.upperBound - 1) } != isFrozen)
      return isFrozen
    }.map(\.name)
  }

  @Test func patterns() throws {
    let names = try store([]).entries.map(\.name)
    func expected(_ condition: (String) -> Bool) -> [String] { names.filter(condition) }
    #expect(try frozen(["layer1"]) == expected { $0.hasPrefix("layer1.") })
    #expect(try frozen(["layer1"]) == frozen(["layer1.*"]) && frozen(["layer1"]).count == 18)
    #expect(try frozen(["layer1.0"]) == expected { $0.hasPrefix("layer1.0.") })
    #expect(try frozen(["*.bias"]) == expected { $0.hasSuffix(".bias") })
    #expect(try frozen(["layer?", "conv1"]) == expected { $0.hasPrefix("layer") || $0 == "conv1.weight" })
    #expect(try frozen(["fc.weight"]) == ["fc.weight"])
    #expect(try frozen(["*bn1*"]) == expected { $0.contains("bn1") })
    #expect(try frozen(["layer1", "layer1.0.conv1.weight"]) == frozen(["layer1"]))
    #expect(try frozen(["l*r2*conv?.w*"]) == expected { $0.hasPrefix("layer2.") && $0.contains(".conv") })
  }

  @Test func rangesAreJoined() throws {
    let store = try store(["fc1.bias", "fc2.weight"], of: "mlp:5,4")
    // fc1: 192·5 weights and 5 biases; fc2: 20 and 4; fc3: 12 and 3.
    #expect(store.frozenRanges == [960..<985] && store.trainedRanges == [0..<960, 985..<1004])
    // A second call freezes more.
    try store.freeze(["fc3"])
    #expect(store.trainedRanges == [0..<960, 985..<989])
    #expect(try self.store([], of: "mlp:5,4").trainedRanges == [0..<1004])
  }

  @Test(arguments: [
    ("layr1", "did you mean \"layer1\"?"), ("layer1.0.conv1.weigth", "did you mean \"layer1.0.conv1.weight\"?"),
    ("layer4", "did you mean"), ("backbone", "the model's are in conv1, bn1, layer1, layer2, layer3, fc"),
    ("layer1.", "did you mean \"layer1\"?"), ("*x*", "matches no parameter"), ("?", "matches no parameter"),
  ])
  func patternsOfNothing(_ pattern: String, _ part: String) throws {
    let store = try store([])
    #expect {
      try store.freeze(["layer1", pattern])
    } throws: {
      "\($0)".contains("freeze \"\(pattern)\" matches no parameter") && "\($0)".contains(part)
    }
    #expect(store.frozenCount == 0)
  }

  @Test func freezingEverything() throws {
    for patterns in [["*"], ["conv1", "bn1", "layer*", "fc"]] {
      #expect {
        _ = try store(patterns)
      } throws: {
        "\($0)".contains("leaves nothing to train")
      }
    }
  }
}
