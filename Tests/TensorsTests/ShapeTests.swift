// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Tensors

@Suite struct ShapeTests {
  /// 0, 1, ..., 23 as [2, 3, 4].
  private let cube = Result { try Tensor((0..<24).map(Double.init), shape: [2, 3, 4]) }

  @Test func facts() throws {
    let x = try cube.get()
    #expect(x.rank == 3)
    #expect(x.shape == [2, 3, 4])
    #expect(x.strides == [12, 4, 1])
    #expect(x.count == 24)
    #expect(x.size(0) == 2 && x.size(-1) == 4 && x.size(3) == 0 && x.size(-4) == 0)
    #expect(x.size(.max) == 0 && x.size(.min) == 0)
    #expect(try x.dtype == .float64)
    #expect(x.device == .cpu)
    #expect(x.isContiguous)
    #expect(!x.requiresGradient)
    #expect(x.summary == "float64 [2, 3, 4]")
    #expect(try Tensor(1).shape == [] && Tensor(1).count == 1 && Tensor(1).rank == 0)
    #expect(try Tensor.zeros([0, 3]).count == 0)
  }

  @Test(arguments: DType.allCases) func everyTypeHasItsSize(_ dtype: DType) throws {
    let x = try Tensor.ones([3], dtype: dtype)
    #expect(try x.dtype == dtype)
    #expect(try bytes(of: x).count == 3 * dtype.byteCount)
    #expect(try x.to(.float64).values() == [1.0, 1, 1])
    #expect(dtype.description == dtype.rawValue)
  }

  @Test func reshapes() throws {
    let x = try cube.get()
    #expect(try x.reshape([6, 4]).values() == (0..<24).map(Double.init))
    #expect(try x.reshape([4, -1]).shape == [4, 6])
    #expect(try x.reshape([24, 1, 1]).shape == [24, 1, 1])
    #expect(try x.transpose(0, 2).reshape([24]).values().prefix(3) == [0.0, 12, 4])
    #expect(try Tensor(3).reshape([1, 1]).shape == [1, 1])
    #expect(try Tensor.zeros([0, 3]).reshape([3, 0]).shape == [3, 0])
    // A reshape of contiguous elements is a view of them.
    let view = try x.reshape([24])
    try view.fill(5)
    #expect(try x.values() == [Double](repeating: 5, count: 24))
  }

  @Test func views() throws {
    let x = try cube.get()
    let transposed = try x.transpose()
    #expect(transposed.shape == [2, 4, 3])
    #expect(!transposed.isContiguous && transposed.strides == [12, 1, 4])
    #expect(try transposed.values().prefix(4) == [0.0, 4, 8, 1])
    #expect(try transposed.contiguous().isContiguous)
    try expectClose(transposed.contiguous(), transposed)
    #expect(try x.permute([2, 0, 1]).shape == [4, 2, 3])
    #expect(try x.permute([2, 0, 1]).values().prefix(7) == [0.0, 4, 8, 12, 16, 20, 1])
    #expect(try x.narrow(1, from: 1, length: 2).values() == [4.0, 5, 6, 7, 8, 9, 10, 11] + (16..<24).map(Double.init))
    #expect(try x.narrow(-1, from: 4, length: 0).shape == [2, 3, 0])
    #expect(try x.select(1, 2).values() == [8.0, 9, 10, 11, 20, 21, 22, 23])
    #expect(try x.select(1, -1).shape == [2, 4])
    #expect(try x.unsqueeze(-1).shape == [2, 3, 4, 1] && x.unsqueeze(0).shape == [1, 2, 3, 4])
    #expect(try x.unsqueeze(1).squeeze(1).shape == [2, 3, 4])
    #expect(try x.squeeze(0).shape == [2, 3, 4])
    #expect(try Tensor([1.0, 2]).unsqueeze(1).expand([2, 3]).values() == [1.0, 1, 1, 2, 2, 2])
    #expect(try Tensor(4).expand([0, 2]).shape == [0, 2])
    #expect(try x.detach().values() == x.values() as [Double])
  }

  @Test func assembling() throws {
    let a = try Tensor([1.0, 2], shape: [1, 2])
    let b = try Tensor([3.0, 4, 5, 6], shape: [2, 2])
    #expect(try Tensor.concatenate([a, b]).values() == [1.0, 2, 3, 4, 5, 6])
    #expect(try Tensor.concatenate([b, b.transpose()], dimension: 1).values() == [3.0, 4, 3, 5, 5, 6, 4, 6])
    #expect(try Tensor.concatenate([.zeros([0, 2], dtype: .float64), b]).shape == [2, 2])
    #expect(try b.indexSelect(0, Tensor([1, 1, 0])).values() == [5.0, 6, 5, 6, 3, 4])
    #expect(try b.indexSelect(1, Tensor([Int]())).shape == [2, 0])
    #expect(try b.gather(1, Tensor([1, 0], shape: [2, 1])).values() == [4.0, 5])
  }

  @Test func reads() throws {
    let x = try cube.get().transpose(0, 1)
    #expect(try x.values(as: Int.self).prefix(5) == [0, 1, 2, 3, 12])
    #expect(try x.values(as: Int32.self).last == 23)
    #expect(try x.values(as: Float.self).count == 24)
    #expect(try Tensor([0.0, 2, -1]).values() == [false, true, true])
    #expect(try Tensor([true, false]).values() == [UInt8(1), 0])
    #expect(try Tensor.zeros([0]).values(as: Double.self).isEmpty)
    #expect(try Tensor(2.5).item() == 2.5 && Tensor([7]).itemInteger() == 7)
    #expect(try Tensor([Int.max, .min]).values() == [Int.max, .min])
    #expect(try bytes(of: Tensor([Int32(1), 256])) == [1, 0, 0, 0, 0, 1, 0, 0])
    expectTensorError(.invalid, "copyBytes", operands: ["float64 [3, 2, 4]"], containing: "192") {
      var short = [UInt8](repeating: 0, count: 191)
      try short.withUnsafeMutableBytes { try x.copyBytes(into: $0) }
    }
  }

  @Test func elementsInPlace() throws {
    let x = try Tensor([1.0, 2, 3])
    #expect(try x.withElements(of: Double.self) { $0.reduce(0, +) } == 6)
    try x.withMutableElements(of: Double.self) { $0[1] = 20 }
    #expect(try x.values() == [1.0, 20, 3])
    #expect(try Tensor.zeros([0]).withElements(of: Float.self) { $0.count } == 0)
    expectTensorError(.type, "withElements", operands: ["float64 [3]"]) {
      try x.withElements(of: Float.self) { $0.count }
    }
    expectTensorError(.invalid, "withElements", containing: "contiguous") {
      try Tensor.zeros([2, 3]).transpose().withElements(of: Float.self) { $0.count }
    }
    struct Stop: Error {}
    #expect(throws: Stop.self) { try x.withElements(of: Double.self) { _ in throw Stop() } }
  }

  @Test func boolsFromAnyByteAreTruthValues() throws {
    let raw: [UInt8] = [0, 1, 2, 255]
    let x = try raw.withUnsafeBytes { try Tensor(bytes: $0, shape: [4], dtype: .bool) }
    #expect(try x.values() == [false, true, true, true])
    #expect(try bytes(of: x) == [0, 1, 1, 1])
  }

  @Test func copiesAreApart() throws {
    let x = try Tensor([1.0, 2])
    let copy = try x.clone()
    let same = x
    try x.fill(9)
    #expect(try copy.values() == [1.0, 2] && same.values() == [9.0, 9])
    try x.copy(from: Tensor([3, 4]))
    #expect(try x.values() == [3.0, 4])
    #expect(try x.to(.float32).dtype == .float32 && x.to(device: .cpu).dtype == .float64)
    #expect(try Tensor([1.9, -1.9]).to(.int64).values() == [1, -1])
  }

  /// A copy on its way to the host is of the moment at which it began, of any layout, and can be had twice.
  @Test func copiesToTheHostAreOfTheirMoment() throws {
    let tensor = try Tensor.arange(0..<6).to(.float32).reshape([2, 3])
    let (whole, turned) = (try HostCopy(tensor), try HostCopy(tensor.transpose(0, 1)))
    try tensor.fill(9)
    for _ in 0..<2 {
      #expect(try whole.tensor().values(as: Float.self) == [0, 1, 2, 3, 4, 5] && whole.tensor().shape == [2, 3])
      #expect(try turned.tensor().values(as: Float.self) == [0, 3, 1, 4, 2, 5] && turned.tensor().isContiguous)
    }
    #expect(try HostCopy(Tensor.zeros([0, 4])).tensor().shape == [0, 4])
    try withLeakCheck {
      _ = try HostCopy(tensor)
      _ = try HostCopy(tensor).tensor()
    }
  }

  @Test func creation() throws {
    #expect(try Tensor.arange(3..<7).values() == [3, 4, 5, 6])
    #expect(try Tensor.arange(2..<2).shape == [0])
    #expect(try Tensor.full([2], 2.5).values() == [2.5, 2.5])
    #expect(try Tensor.ones([1, 2], dtype: .int32).values() == [Int32(1), 1])
    #expect(try Tensor.empty([3, 0]).count == 0)
    #expect(try Tensor([Float]()).shape == [0])
    #expect(try Tensor([1, 2, 3, 4], shape: [2, 2]).select(0, 1).values() == [3, 4])
  }

  @Test func devicesAreParsed() {
    #expect(Device("cpu") == .cpu && Device("cuda") == .cuda(0) && Device("cuda:3") == .cuda(3))
    for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU", "cuda:99999999999999999999"] {
      #expect(Device(text) == nil, "\(text)")
    }
    #expect(Device.cuda(1).description == "cuda:1" && Device.cpu.description == "cpu")
  }
}
