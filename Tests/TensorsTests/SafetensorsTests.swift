// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Tensors

@Suite struct SafetensorsTests {
  private func file(_ header: String, _ body: [UInt8] = [], length: UInt64? = nil) -> Data {
    var data = Data()
    withUnsafeBytes(of: (length ?? UInt64(header.utf8.count)).littleEndian) { data.append(contentsOf: $0) }
    return data + Data(header.utf8) + Data(body)
  }

  private func expectFormatError(
    _ data: Data, containing text: String = "", sourceLocation: SourceLocation = #_sourceLocation
  ) {
    withLeakCheck(sourceLocation: sourceLocation) {
      do {
        _ = try Safetensors.decode(data)
        Issue.record("it was read", sourceLocation: sourceLocation)
      } catch let error as Safetensors.FormatError {
        #expect(text.isEmpty || error.description.contains(text), "\(error)", sourceLocation: sourceLocation)
      } catch {
        Issue.record("another kind of error: \(error)", sourceLocation: sourceLocation)
      }
    }
  }

  @Test func everyTypeComesBack() throws {
    let shapes: [[Int]] = [[], [0], [1], [3, 5], [2, 0, 4], [2, 3, 4]]
    var tensors: [(name: String, tensor: Tensor)] = []
    for dtype in DType.allCases {
      for (index, shape) in shapes.enumerated() {
        let tensor = try randomTensor(shape, seed: UInt64(index), low: 0, high: 200, dtype: dtype)
        tensors.append(("\(dtype).\(index)", tensor))
      }
    }
    let view = try randomTensor([4, 6], seed: 1).transpose().narrow(0, from: 1, length: 3)
    tensors.append(("a view \"with\" \\ ünusual name", view))
    let metadata = ["format": "pt", "note": "line\nbreak \u{1F600}", "": ""]
    try withLeakCheck {
      let (decoded, notes) = try Safetensors.decode(Safetensors.encode(tensors, metadata: metadata))
      #expect(notes == metadata)
      #expect(decoded.count == tensors.count)
      for (name, tensor) in tensors {
        let found = try #require(decoded[name])
        try expectIdentical(found, tensor)
      }
    }
    #expect(try Safetensors.decode(Safetensors.encode([])).tensors.isEmpty)
    #expect(try Safetensors.decode(Safetensors.encode([])).metadata.isEmpty)
  }

  @Test func specialNumbersKeepTheirBits() throws {
    let numbers: [Float] = [.nan, .infinity, -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude]
    let data = try Safetensors.encode([("x", Tensor(numbers))])
    let found = try Safetensors.decode(data).tensors["x"]?.values(as: Float.self)
    #expect(found?.map(\.bitPattern) == numbers.map(\.bitPattern))
  }

  @Test func aFileWrittenByHand() throws {
    let header =
      #"{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"#
      + #""n":{"dtype":"I64","shape":[1],"data_offsets":[8,16]},"b":{"dtype":"BOOL","shape":[2],"data_offsets":[16,18]}}"#
    let body: [UInt8] = [0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0]
    // Writers may pad the header with spaces.
    for padding in ["", "   "] {
      let (tensors, metadata) = try Safetensors.decode(file(header + padding, body))
      #expect(metadata == ["format": "pt"])
      try expectClose(#require(tensors["w"]), [1.5, -2], shape: [2, 1], dtype: .float32)
      #expect(try tensors["n"]?.values() == [-2])
      #expect(try tensors["b"]?.values() == [true, false])
    }
  }

  @Test func theLayoutIsThatOfTheFormat() throws {
    let data = try Safetensors.encode([("w", Tensor([Float(1.5), -2])), ("n", Tensor([Int32(7)]))])
    let length = data.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
    #expect(length % 8 == 0 && data.count == 8 + length + 12)
    let header = try JSONSerialization.jsonObject(with: data.dropFirst(8).prefix(length)) as? [String: [String: Any]]
    #expect(header?["w"]?["dtype"] as? String == "F32" && header?["w"]?["shape"] as? [Int] == [2])
    #expect(header?["w"]?["data_offsets"] as? [Int] == [0, 8] && header?["n"]?["data_offsets"] as? [Int] == [8, 12])
    #expect(Array(data.suffix(12)) == [0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0, 7, 0, 0, 0])
    #expect(data[8] == UInt8(ascii: "{"))
  }

  @Test func aSliceOfDataIsRead() throws {
    let data = try Data([1, 2, 3]) + Safetensors.encode([("x", Tensor([1, 2]))])
    #expect(try Safetensors.decode(data.dropFirst(3)).tensors["x"]?.values() == [1, 2])
  }

  @Test func namesAreUnique() throws {
    let x = try Tensor(1)
    #expect(throws: Safetensors.FormatError.self) { try Safetensors.encode([("x", x), ("x", x)]) }
    #expect(throws: Safetensors.FormatError.self) { try Safetensors.encode([("__metadata__", x)]) }
  }

  @Test func everyTruncationIsAnError() throws {
    let data = try Safetensors.encode(
      [("a", Tensor([Float(1), 2, 3])), ("b", Tensor([1, 2], shape: [2, 1]))], metadata: ["k": "v"])
    for length in 0..<data.count { expectFormatError(data.prefix(length)) }
    expectFormatError(data + [0], containing: "end at byte")
  }

  @Test func headersThatLie() throws {
    let good = #"{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#
    #expect(try Safetensors.decode(file(good, [1, 2])).tensors["x"]?.values() == [UInt8(1), 2])
    for length: UInt64 in [0, 1, 52, 56, 57, 1 << 31, 1 << 40, .max] {
      expectFormatError(file(good, [1, 2], length: length))
    }
    let texts = [
      "", "{", "[]", "null", "3", "\"x\"", "not JSON", "{\"x\":1}", "{\"x\":null}", "{\"x\":{}}", "\u{feff}",
    ]
    for text in texts {
      expectFormatError(file(text))
    }
    expectFormatError(file(String(repeating: "[", count: 200_000)))
    expectFormatError(file(String(repeating: "{\"a\":", count: 200_000)))
    expectFormatError(Data([8, 0, 0, 0, 0, 0, 0, 0]) + Data(repeating: 0xff, count: 8))
    expectFormatError(file(#"{"__metadata__":{"a":1}}"#), containing: "metadata")
    expectFormatError(file(#"{"__metadata__":[]}"#), containing: "metadata")
  }

  @Test(arguments: [
    #""dtype":"F99","shape":[2],"data_offsets":[0,2]"#, #""dtype":7,"shape":[2],"data_offsets":[0,2]"#,
    #""shape":[2],"data_offsets":[0,2]"#, #""dtype":"U8","data_offsets":[0,2]"#, #""dtype":"U8","shape":[2]"#,
    #""dtype":"U8","shape":[3],"data_offsets":[0,2]"#, #""dtype":"U8","shape":[-2],"data_offsets":[0,2]"#,
    #""dtype":"U8","shape":[-1,-2],"data_offsets":[0,2]"#, #""dtype":"U8","shape":2,"data_offsets":[0,2]"#,
    #""dtype":"U8","shape":["2"],"data_offsets":[0,2]"#, #""dtype":"U8","shape":[1e99],"data_offsets":[0,2]"#,
    #""dtype":"U8","shape":[2.5],"data_offsets":[0,2]"#,
    #""dtype":"U8","shape":[4611686018427387904,4,2],"data_offsets":[0,2]"#,
    #""dtype":"F64","shape":[9223372036854775807],"data_offsets":[0,2]"#,
    #""dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,2]"#,
    #""dtype":"U8","shape":[2],"data_offsets":[0,3]"#, #""dtype":"U8","shape":[2],"data_offsets":[2,0]"#,
    #""dtype":"U8","shape":[2],"data_offsets":[-2,0]"#, #""dtype":"U8","shape":[2],"data_offsets":[0]"#,
    #""dtype":"U8","shape":[2],"data_offsets":[0,1,2]"#, #""dtype":"U8","shape":[1],"data_offsets":[1,2]"#,
    #""dtype":"U8","shape":[1],"data_offsets":[0,1]"#,
    #""dtype":"U8","shape":[0],"data_offsets":[9223372036854775807,9223372036854775807]"#,
    #""dtype":"F32","shape":[1],"data_offsets":[0,2]"#,
  ]) func entriesThatLie(_ entry: String) {
    expectFormatError(file("{\"x\":{\(entry)}}", [1, 2]))
  }

  @Test func gapsAndOverlapsAreRefused() {
    func two(_ first: String, _ second: String) -> Data {
      file(
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":\(first)},"
          + "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":\(second)}}", [1, 2, 3, 4])
    }
    #expect(throws: Never.self) { try Safetensors.decode(two("[2,4]", "[0,2]")) }
    expectFormatError(two("[0,2]", "[0,2]"), containing: "starts at byte")
    expectFormatError(two("[0,2]", "[1,3]"), containing: "starts at byte")
  }

  @Test func randomDamageNeverTraps() throws {
    let good = try Safetensors.encode(
      [
        ("weight", randomTensor([3, 2], seed: 1)), ("mask", Tensor([true, false, true])),
        ("step", Tensor([12])), ("empty", Tensor.zeros([0, 5])),
      ], metadata: ["format": "pt"])
    var random = SplitMix64(seed: 2)
    for _ in 0..<3000 {
      var data = good
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        // Most of the damage goes to the header, where it can do harm.
        let place = Int.random(in: 0..<(Bool.random(using: &random) ? data.count : 12), using: &random)
        data[place] =
          Bool.random(using: &random)
          ? .random(in: 0...255, using: &random) : data[place] ^ (1 << UInt8.random(in: 0..<8, using: &random))
      }
      do {
        for tensor in try Safetensors.decode(data).tensors.values { _ = try tensor.values(as: Double.self) }
      } catch is Safetensors.FormatError {
      } catch is TensorError {}
    }
  }
}
