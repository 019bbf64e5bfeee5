// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Named tensors as one file in the safetensors format: the header's length (8 bytes, little-endian), a JSON header
/// with type, shape and byte range of every tensor, then the elements. No code is ever run from such a file.
public enum Safetensors {
  /// A file that is not valid safetensors, with the reason.
  public struct FormatError: Error, CustomStringConvertible, Sendable {
    /// The reason, in a sentence.
    public let description: String
  }

  private static let names: [DType: String] = [
    .float32: "F32", .float64: "F64", .float16: "F16", .bfloat16: "BF16", .int64: "I64", .int32: "I32", .uint8: "U8",
    .bool: "BOOL",
  ]
  private static let largestHeader = 100 << 20

  /// The bytes of a file with the given tensors, in order, and metadata.
  ///
  /// - Throws: `TensorError` when a tensor cannot be copied to the host.
  public static func encode(_ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:]) throws
    -> Data
  {
    var header: [String: Any] = metadata.isEmpty ? [:] : ["__metadata__": metadata]
    var offset = 0
    for (name, tensor) in tensors {
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
    var tensors: [String: Tensor] = [:]
    for (name, entry) in header where name != "__metadata__" {
      tensors[name] = try tensor(name, entry, in: body)
    }
    return (tensors, header["__metadata__"] as? [String: String] ?? [:])
  }

  private static func tensor(_ name: String, _ entry: Any, in body: Data) throws -> Tensor {
    guard let entry = entry as? [String: Any], let type = entry["dtype"] as? String,
      let dtype = names.first(where: { $0.value == type })?.key, let shape = entry["shape"] as? [Int],
      let range = entry["data_offsets"] as? [Int], range.count == 2
    else { throw FormatError(description: "the entry of tensor \"\(name)\" cannot be read") }
    guard range[0] >= 0, range[0] <= range[1], range[1] <= body.count else {
      throw FormatError(
        description: "tensor \"\(name)\" ends at byte \(range[1]) of \(body.count): the file is cut off")
    }
    let bytes = body.dropFirst(range[0]).prefix(range[1] - range[0])
    do {
      return try bytes.withUnsafeBytes { try Tensor(bytes: $0, shape: shape, dtype: dtype) }
    } catch let error as TensorError where error.kind == .invalid {
      throw FormatError(description: "tensor \"\(name)\" of shape \(shape) does not fit its \(bytes.count) bytes")
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
