// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Tensors

@Suite struct NoiseKernelTests {
  /// The known answers of the authors' Random123.
  @Test func theWordsAreThoseOfPhilox() throws {
    #expect(
      try Tensor.philox(seed: 0, stream: 0, counter: 0) == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8])
    #expect(
      try Tensor.philox(seed: .max, stream: .max, counter: .max) == [
        0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd,
      ])
    #expect(
      try Tensor.philox(
        seed: 0x299f_31d0_a409_3822, stream: 0x0370_7344_1319_8a2e, counter: 0x85a3_08d3_243f_6a88) == [
          0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1,
        ])
  }

  /// The numbers of a counter by the formula, in double precision.
  private func expected(seed: UInt64, stream: UInt64, counter: Int) throws -> [Double] {
    let words = try Tensor.philox(seed: seed, stream: stream, counter: UInt64(counter))
    return [0, 2].flatMap { place -> [Double] in
      let length = (-2 * log((Double(words[place] >> 1) + 0.5) / 0x1p31)).squareRoot()
      let angle = 2 * Double.pi * Double(Int32(bitPattern: words[place + 1])) / 0x1p32
      return [length * cos(angle), length * sin(angle)]
    }
  }

  @Test(arguments: [DType.float32, .float64]) func eachNumberIsTheFormulas(_ dtype: DType) throws {
    for count in [0, 1, 3, 255, 256, 257, 32_769, 70_001] {
      let start = try randomTensor([count], seed: 3, dtype: dtype)
      let before: [Double] = try start.to(.float64).values()
      try start.addGaussian(standardDeviation: 0.25, seed: 77, stream: 5)
      let found: [Double] = try start.to(.float64).values()
      for counter in Set([0, 1, count / 8, (count - 1) / 4]).filter({ $0 >= 0 && 4 * $0 < count }) {
        let own = try expected(seed: 77, stream: 5, counter: counter)
        for place in 4 * counter..<min(count, 4 * counter + 4) {
          #expect(abs(found[place] - before[place] - 0.25 * own[place - 4 * counter]) < 1e-6, "\(count), \(place)")
        }
      }
    }
  }

  /// The words that lead to the ends: u next to 0 and to 1, and every quarter of a turn.
  @Test func theFormulaHoldsAtManyPlaces() throws {
    let numbers = try Tensor.zeros([400_000])
    try numbers.addGaussian(standardDeviation: 1, seed: 123)
    let found: [Float] = try numbers.values()
    var worst = 0.0
    for counter in 0..<100_000 {
      for (place, value) in try expected(seed: 123, stream: 0, counter: counter).enumerated() {
        worst = max(worst, abs(Double(found[4 * counter + place]) - value))
      }
    }
    // A u next to 1 is right to a float's last bit, 6e-8: a length of 0.002 then to 3e-5.
    #expect(worst < 3e-5)
  }

  @Test func theNumbersAreStandardNormal() throws {
    let count = 1 << 20
    let tensor = try Tensor.zeros([count], dtype: .float64)
    try tensor.addGaussian(standardDeviation: 1, seed: 9, stream: 1)
    let numbers: [Double] = try tensor.values()
    func moment(_ power: Double) -> Double { numbers.reduce(0) { $0 + pow($1, power) } / Double(count) }
    let error = 5 / Double(count).squareRoot()
    #expect(abs(moment(1)) < error && abs(moment(2) - 1) < error * 2.squareRoot())
    #expect(abs(moment(3)) < error * 15.squareRoot() && abs(moment(4) - 3) < error * 96.squareRoot())
    // Kolmogorov and Smirnov: exceeded once in a million.
    let sorted = numbers.sorted()
    let distance = sorted.enumerated().reduce(0.0) { worst, entry in
      let share = erfc(-entry.element / 2.squareRoot()) / 2
      return max(worst, abs(share - Double(entry.offset) / Double(count)))
    }
    #expect(distance * Double(count).squareRoot() < 2.7)
    #expect(sorted.first ?? 0 > -6.7 && sorted.last ?? 0 < 6.7)
  }

  @Test func streamsSeedsAndNeighboursAreIndependent() throws {
    let count = 100_000
    func draw(_ seed: UInt64, _ stream: UInt64) throws -> Tensor {
      let tensor = try Tensor.zeros([count], dtype: .float64)
      try tensor.addGaussian(standardDeviation: 1, seed: seed, stream: stream)
      return tensor
    }
    let own = try draw(1, 1)
    let limit = 5 * Double(count).squareRoot()
    for other in [try draw(1, 2), try draw(2, 1), try draw(1 << 32, 1), try draw(1, 1 << 32)] {
      #expect(try abs(own.dot(other)) < limit)
    }
    for distance in 1...4 {
      let (left, right) = try (
        own.narrow(0, from: 0, length: count - distance), own.narrow(0, from: distance, length: count - distance)
      )
      #expect(try abs(left.dot(right)) < limit)
    }
  }

  @Test func theNumberOfThreadsDoesNotMatter() throws {
    let threads = Runtime.threadCount
    defer { try? Runtime.setThreadCount(threads) }
    let draws = try [1, 2].map { count -> [Float] in
      try Runtime.setThreadCount(count)
      let tensor = try Tensor.zeros([200_003])
      try tensor.addGaussian(standardDeviation: 2, seed: 4)
      return try tensor.values()
    }
    #expect(draws[0] == draws[1])
  }

  @Test func otherTypesAndLayouts() throws {
    let half = try Tensor.zeros([9], dtype: .bfloat16), single = try Tensor.zeros([9])
    for tensor in [half, single] { try tensor.addGaussian(standardDeviation: 1, seed: 6) }
    try expectClose(half, single.to(.float64).values(), shape: [9], dtype: .bfloat16, rtol: 0.01, atol: 0.01)
    let strided = try Tensor.zeros([4, 3]).transpose()
    #expect(throws: TensorError.self) { try strided.addGaussian(standardDeviation: 1, seed: 1) }
  }
}
