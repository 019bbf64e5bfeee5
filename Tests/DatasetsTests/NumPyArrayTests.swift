// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import Testing

@Suite struct NumPyArrayTests {
  @Test(arguments: [[3], [2, 3], [1, 1, 6], [0], [100_000, 0]])
  func theHeaderIsNumPys(_ shape: [Int]) throws {
    let count = shape.reduce(1, *)
    let data = NumPyArray.encoded((0..<count).map(Float.init), shape: shape)
    let length = Int(data[8]) | Int(data[9]) << 8
    let header = String(decoding: data[10..<10 + length], as: UTF8.self)
    #expect(data.prefix(8) == Data([0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0]))
    #expect((10 + length) % 64 == 0 && header.hasSuffix("\n"))
    let sides = shape.count == 1 ? "(\(shape[0]),)" : "(" + shape.map(String.init).joined(separator: ", ") + ")"
    #expect(header.hasPrefix("{'descr': '<f4', 'fortran_order': False, 'shape': \(sides), }"))
    #expect(data.count == 10 + length + 4 * count)
    if count == 3 { #expect(data.suffix(8) == Data([0, 0, 0x80, 0x3F, 0, 0, 0, 0x40])) }
  }
}
