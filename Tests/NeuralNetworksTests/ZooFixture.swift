// SPDX-License-Identifier: Apache-2.0

import Foundation
import Tensors
import Testing

@testable import NeuralNetworks

/// What torchvision made of a model's deterministic weights, as Tests/Fixtures/make_zoo_fixture.py wrote it.
struct ZooFixture: Decodable {
  /// A parameter's name and shape.
  struct Entry: Decodable {
    let name: String
    let shape: [Int]
    init(from decoder: any Decoder) throws {
      var list = try decoder.unkeyedContainer()
      name = try list.decode(String.self)
      shape = try list.decode([Int].self)
    }
  }

  struct Case: Decodable {
    let mode: String
    let shape: [Int]
    /// Names the input.
    let input: String
    /// Whether float32 is precise enough for a comparison: no ReLU is too close to its kink.
    let single: Bool
    let logits: [Double]
    let loss: Double
    /// Norm, sum, two products, four elements.
    let gradients: [[Double]]
    /// Norms of the running statistics after the pass.
    let buffers: [String: Double]?
  }

  let gain: Double
  let parameters: [Entry]
  let cases: [Case]

  static func url(_ name: String) throws -> URL {
    try #require(Bundle.module.url(forResource: name, withExtension: "json", subdirectory: "Fixtures/Zoo"))
  }

  init(_ name: String) throws {
    self = try JSONDecoder().decode(ZooFixture.self, from: Data(contentsOf: Self.url(name)))
  }
}
