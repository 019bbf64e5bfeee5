// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Named tensors as one file in the safetensors format: the header's length (8 bytes, little-endian), a JSON header
/// with type, shape and byte range of every tensor, then the elements. No code is ever run from such a file.
public enum Safetensors {
  /// A file that is not valid safetensors, or tensors that cannot become one, with the reason.
  public struct FormatError: Error, CustomStringConvertible, Sendable {
    /// The reason, in a sentence.
    public let description: String
  }

  fileprivate static let names: [DType: String] = [
    .float32: "F32", .float64: "F64", .float16: "F16", .bfloat16: "BF16", .int64: "I64", .int32: "I32", .uint8: "U8",
    .bool: "BOOL",
  ]
  private static let largestHeader = 100 << 20

  /// The bytes of a file with the given tensors, in order, and metadata.
  ///
  /// - Throws: `TensorError` when a tensor cannot be copied to the host, `FormatError` when a name occurs twice.
  public static func encode(_ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:]) throws
    -> Data
  {
    var header: [String: Any] = metadata.isEmpty ? [:] : ["__metadata__": metadata]
    var offset = 0
    // Contiguous first: an expanded view may claim more bytes than fit in memory, or in an integer.
    let tensors = try tensors.map { (name: $0.name, tensor: try $0.tensor.contiguous()) }
    for (name, tensor) in tensors {
      guard name != "__metadata__", header[name] == nil else {
        throw FormatError(description: "the name \"\(name)\" is taken: give every tensor a different name")
      }
      let dtype = try tensor.dtype
      let end = offset + tensor.count * dtype.byteCount
      header[name] =
        ["dtype": names[dtype] ?? "", "shape": tensor.shape, "data_offsets": [offset, end]] as [String: Any]
      offset = end
    }
    var json = try JSONSerialization.data(withJSONObject: header, options: [.sortedKeys])
    // The elements start at a multiple of 8, as the format asks.
    json.append(Data(repeating: 0x20, count: (8 - json.count % 8) % 8))
    var data = Data(capacity: 8 + json.count + offset)
    withUnsafeBytes(of: UInt64(json.count).littleEndian) { data.append(contentsOf: $0) }
    data.append(json)
    for (_, tensor) in tensors { data.append(try tensor.rawBytes()) }
    return data
  }

  /// The tensors of a file, on the CPU, by name, and its metadata.
  ///
  /// - Throws: `FormatError` when the bytes are not a whole, consistent safetensors file.
  public static func decode(_ data: Data) throws -> (tensors: [String: Tensor], metadata: [String: String]) {
    guard data.count >= 8 else { throw FormatError(description: "it is shorter than its header") }
    let length = data.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(largestHeader), Int(length) <= data.count - 8 else {
      throw FormatError(description: "its header claims \(length) bytes, more than the file holds")
    }
    let body = data.dropFirst(8 + Int(length))
    let header = try? JSONSerialization.jsonObject(with: data.dropFirst(8).prefix(Int(length)))
    guard let header = header as? [String: Any] else { throw FormatError(description: "its header is not JSON") }
    let metadata = header["__metadata__"] ?? [String: String]()
    guard let metadata = metadata as? [String: String] else {
      throw FormatError(description: "its metadata is not a list of strings by name")
    }
    let entries = try header.filter { $0.key != "__metadata__" }.map { try Entry(name: $0.key, $0.value, in: body) }
    try checkCoverage(entries, of: body.count)
    var tensors: [String: Tensor] = [:]
    for entry in entries { tensors[entry.name] = try entry.tensor(from: body) }
    return (tensors, metadata)
  }

  /// The format allows neither gaps nor overlaps; so a small file cannot ask for more memory than it has bytes.
  private static func checkCoverage(_ entries: [Entry], of count: Int) throws {
    var end = 0
    for entry in entries.sorted(by: {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }) {
      guard entry.range.lowerBound == end else {
        throw FormatError(
          description: "tensor \"\(entry.name)\" starts at byte \(entry.range.lowerBound), not at \(end) where the one "
            + "before it ends")
      }
      end = entry.range.upperBound
    }
    guard end == count else { throw FormatError(description: "its tensors end at byte \(end) of \(count)") }
  }
}

/// One tensor of a header.
private struct Entry {
  let name: String
  let dtype: DType
  let shape: [Int]
  let range: Range<Int>

  init(name: String, _ entry: Any, in body: Data) throws {
    guard let entry = entry as? [String: Any], let type = entry["dtype"] as? String,
      let dtype = Safetensors.names.first(where: { $0.value == type })?.key, let shape = entry["shape"] as? [Int],
      let range = entry["data_offsets"] as? [Int], range.count == 2
    else { throw Safetensors.FormatError(description: "the entry of tensor \"\(name)\" cannot be read") }
    guard range[0] >= 0, range[0] <= range[1], range[1] <= body.count else {
      throw Safetensors.FormatError(
        description: "tensor \"\(name)\" ends at byte \(range[1]) of \(body.count): the file is cut off")
    }
    (self.name, self.dtype, self.shape) = (name, dtype, shape)
    self.range = range[0]..<range[1]
  }

  func tensor(from body: Data) throws -> Tensor {
    let bytes = body.dropFirst(range.lowerBound).prefix(range.count)
    do {
      return try bytes.withUnsafeBytes { try Tensor(bytes: $0, shape: shape, dtype: dtype) }
    } catch let error as TensorError where error.kind == .invalid {
      throw Safetensors.FormatError(
        description: "tensor \"\(name)\" of shape \(shape) does not fit its \(bytes.count) bytes")
    }
  }
}

extension Tensor {
  /// The elements' bytes in row-major order.
  func rawBytes() throws -> Data {
    let size = count * (try dtype.byteCount)
    var data = Data(count: size)
    try data.withUnsafeMutableBytes { try copyBytes(into: $0) }
    return data
  }
}
