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

/// The script's numbers, bit by bit.
enum HashedNumbers {
  static let period = 999_983

  static let table: [Float] = (0..<UInt32(period)).map { index in
    var h = index &* 0x9E37_79B1 &+ 0x85EB_CA6B
    h ^= h >> 16
    h = h &* 0x85EB_CA6B
    h ^= h >> 13
    h = h &* 0xC2B2_AE35
    h ^= h >> 16
    return Float(Int32(h >> 8) - (1 << 23)) * 0x1p-23
  }

  /// The start that a name decides: 32-bit FNV-1a.
  static func start(_ name: String) -> Int {
    var hash: UInt32 = 0x811C_9DC5
    for byte in name.utf8 { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
    return Int(hash) % period
  }

  /// `count` entries of the table, read round and round.
  static func values(_ name: String, _ shape: [Int]) throws -> Tensor {
    let count = shape.reduce(1, *)
    let first = start(name)
    let turned = try Tensor(Array(table[first...] + table[..<first]))
    let copies = max(1, (count + period - 1) / period)
    return try turned.expand([copies, period]).reshape([-1]).narrow(0, from: 0, length: count).reshape(shape)
  }

  /// What a parameter or buffer holds.
  static func content(_ name: String, _ shape: [Int], gain: Double) throws -> Tensor {
    let unit = try values(name, shape)
    if name.hasSuffix("running_var") { return try unit * 0.5 + 1 }
    if name.hasSuffix("running_mean") { return try unit * 0.125 }
    if shape.count > 1 {
      let scale = Float((gain / Double(shape.dropFirst().reduce(1, *))).squareRoot())
      return try unit * Double(scale)
    }
    return try name.hasSuffix("weight") ? unit * 0.25 + 1 : unit * 0.125
  }
}
