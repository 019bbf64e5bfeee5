// SPDX-License-Identifier: Apache-2.0

import Foundation
import NeuralNetworks
import Tensors

/// The gradient sums of groups of examples, set aside in a temporary file.
final class GroupSums {
  struct Group {
    var count = 0
    var squaredNorms: [Double] = []
  }

  /// The groups that are complete.
  private(set) var closed: [Group] = []
  private var current = Group()
  private let descriptor: Int32
  private let parameterCount: Int
  // Columns read back at a time: small beside the activations of a batch.
  private let blockSize = 1 << 13

  /// - Throws: `CoherenceError` when no temporary file can be made; `TensorError` when memory runs out.
  init(store: ParameterStore) throws {
    parameterCount = store.count
    var path = Array((NSTemporaryDirectory() + "/coherent-groups-XXXXXX").utf8CString)
    descriptor = mkstemp(&path)
    guard descriptor >= 0 else {
      throw CoherenceError(
        "no temporary file could be made in \(NSTemporaryDirectory()) (\(String(cString: strerror(errno)))), so there are "
          + "no confidence intervals; set TMPDIR to a writable folder")
    }
    // Without a name it vanishes with the process, however that ends.
    unlink(path)
  }

  deinit { Foundation.close(descriptor) }

  /// Takes note of a batch of the current group.
  func note(count: Int, squaredNorms: [Double]) {
    current.count += count
    if current.squaredNorms.isEmpty { current.squaredNorms = Array(repeating: 0, count: squaredNorms.count) }
    for index in squaredNorms.indices { current.squaredNorms[index] += squaredNorms[index] }
  }

  /// Ends the current group, whose gradients add up to `sum` [P].
  func close(sum: Tensor) throws {
    guard current.count > 0 else { return }
    try sum.to(.float32, device: .cpu).withElements(of: Float.self) { try write(UnsafeRawBufferPointer($0)) }
    closed.append(current)
    current = Group()
  }

  /// Takes over the complete groups of another.
  func absorb(_ other: GroupSums) throws {
    for (index, group) in other.closed.enumerated() {
      let values = try other.read(group: index, columns: 0..<parameterCount)
      try values.withUnsafeBytes { try write($0) }
      closed.append(group)
    }
  }

  /// For each layer (by its columns) the inner products of the groups' sums.
  func grams(_ layers: [[Range<Int>]]) throws -> [[[Double]]] {
    try layers.map { ranges in
      var gram = Array(repeating: Array(repeating: 0.0, count: closed.count), count: closed.count)
      for range in ranges {
        for start in stride(from: range.lowerBound, to: range.upperBound, by: blockSize) {
          try add(columns: start..<min(start + blockSize, range.upperBound), to: &gram)
        }
      }
      return gram
    }
  }

  private func add(columns: Range<Int>, to gram: inout [[Double]]) throws {
    let rows = try closed.indices.map { try read(group: $0, columns: columns) }
    let matrix = try Tensor(rows.flatMap { $0 }, shape: [rows.count, columns.count]).to(.float64)
    let products: [Double] = try matrix.matmul(matrix.transpose()).values()
    for row in gram.indices {
      for column in gram.indices { gram[row][column] += products[row * gram.count + column] }
    }
  }

  private func write(_ bytes: UnsafeRawBufferPointer) throws {
    var offset = 0
    let start = closed.count * parameterCount * 4
    while offset < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
      let done = pwrite(descriptor, rest.baseAddress, rest.count, off_t(start + offset))
      guard done > 0 else {
        throw CoherenceError(
          "the temporary file in \(NSTemporaryDirectory()) could not be written (\(String(cString: strerror(errno)))), so "
            + "there are no confidence intervals; free some space or set TMPDIR")
      }
      offset += done
    }
  }

  private func read(group: Int, columns: Range<Int>) throws -> [Float] {
    try [Float](unsafeUninitializedCapacity: columns.count) { buffer, initialized in
      var offset = 0
      let bytes = UnsafeMutableRawBufferPointer(buffer)
      let start = (group * parameterCount + columns.lowerBound) * 4
      while offset < columns.count * 4 {
        let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<columns.count * 4])
        let done = pread(descriptor, rest.baseAddress, rest.count, off_t(start + offset))
        guard done > 0 else {
          throw CoherenceError("the temporary file of the confidence intervals cannot be read back")
        }
        offset += done
      }
      initialized = columns.count
    }
  }
}
