// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Tensors

/// What `print(tensor)` shows.
@Suite struct DescriptionTests {
  @Test func numbersAreAligned() throws {
    let x = try Tensor([Float(1), -2.5, .nan, 300], shape: [2, 2])
    #expect(
      x.description == """
        [[  1.0000,  -2.5000],
         [     nan, 300.0000]]
        float32 [2, 2] on cpu
        """)
    #expect(x.debugDescription == x.description && "\(x)" == x.description)
    #expect(
      try Tensor([Float(1), -.infinity, .infinity]).description == "[  1., -inf,  inf]\nfloat32 [3] on cpu")
    #expect(
      try Tensor([1e-9, 1.5]).description == "[1.0000e-09, 1.5000e+00]\nfloat64 [2] on cpu")
    #expect(
      try Tensor([Float(0.5), 1], shape: [2]).to(.bfloat16).description
        == "[0.5000, 1.0000]\nbfloat16 [2] on cpu")
  }

  @Test func everyTypeHasItsWords() throws {
    #expect(try Tensor([1, -20, 300]).description == "[  1, -20, 300]\nint64 [3] on cpu")
    #expect(try Tensor([UInt8(7)], shape: [1, 1]).description == "[[7]]\nuint8 [1, 1] on cpu")
    #expect(try Tensor([true, false]).description == "[ true, false]\nbool [2] on cpu")
    for dtype in DType.allCases {
      #expect(try Tensor.ones([2], dtype: dtype).description.hasSuffix("\n\(dtype) [2] on cpu"))
    }
  }

  @Test func oddShapes() throws {
    #expect(try Tensor(3.25).description == "3.2500\nfloat32 [] on cpu")
    #expect(try Tensor.zeros([0]).description == "[]\nfloat32 [0] on cpu")
    #expect(try Tensor.zeros([3, 0, 2]).description == "[]\nfloat32 [3, 0, 2] on cpu")
    let cube = try Tensor((0..<8).map { $0 }, shape: [2, 2, 2])
    #expect(
      cube.description == """
        [[[0, 1],
          [2, 3]],

         [[4, 5],
          [6, 7]]]
        int64 [2, 2, 2] on cpu
        """)
    #expect(
      try cube.transpose(0, 2).description.hasPrefix("[[[0, 4],\n  [2, 6]],\n\n [[1, 5],"))
    let leaf = try Tensor.ones([1])
    try leaf.setRequiresGradient(true)
    #expect(leaf.description == "[1.]\nfloat32 [1] on cpu, requires gradient")
  }

  @Test func longRowsAreBroken() throws {
    let lines = try Tensor.arange(100..<150).description.split(separator: "\n")
    #expect(lines.count == 5 && lines.allSatisfy { $0.count <= 80 })
    #expect(lines[0].hasPrefix("[100, 101, ") && lines[1].hasPrefix(" 115, "))
  }

  @Test func largeTensorsShowTheirEdges() throws {
    #expect(
      try Tensor.arange(0..<1001).description == "[   0,    1,    2, …,  998,  999, 1000]\nint64 [1001] on cpu")
    let table = try Tensor.arange(0..<10_000).reshape([100, 100])
    #expect(
      table.description == """
        [[   0,    1,    2, …,   97,   98,   99],
         [ 100,  101,  102, …,  197,  198,  199],
         [ 200,  201,  202, …,  297,  298,  299],
         …,
         [9700, 9701, 9702, …, 9797, 9798, 9799],
         [9800, 9801, 9802, …, 9897, 9898, 9899],
         [9900, 9901, 9902, …, 9997, 9998, 9999]]
        int64 [100, 100] on cpu
        """)
    // More elements than any memory holds, and more dimensions than there is room for.
    let wide = try Tensor.ones([1]).expand([1 << 40])
    #expect(wide.description == "[1., 1., 1., …, 1., 1., 1.]\nfloat32 [\(1 << 40)] on cpu")
    let deep = try Tensor.ones([1]).expand(Array(repeating: 3, count: 20))
    #expect(deep.description.count < 20_000 && deep.description.hasSuffix(" on cpu"))
  }

  @Test func nothingLeaks() throws {
    let x = try Tensor.ones([40, 40])
    withLeakCheck { _ = x.description }
  }
}
