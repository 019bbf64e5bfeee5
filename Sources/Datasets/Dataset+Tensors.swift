// SPDX-License-Identifier: Apache-2.0

import Tensors

extension Dataset {
  /// The images of some examples as float32 [indices.count, channels, height, width], normalised as the data set says, or
  /// their tokens as whole numbers [indices.count, tokens], float32 too.
  ///
  /// - Throws: `TensorError` when an index is outside the data set or the device fails; `DatasetError` that names a file
  ///   that cannot be decoded.
  public func imageTensor(at indices: [Int], device: Device = .cpu) throws -> Tensor {
    switch storage {
    case .memory where table?.device == device: return try tensor(at: indices)
    case .memory(let images): return try images.withUnsafeBytes { try tensor($0, at: indices, device: device) }
    case .windows:
      let bytes = try ByteStorage(count: indices.count * exampleSize) { try copyBytes(of: indices, into: $0) }
      return try bytes.withUnsafeBytes { try tensor($0, device: device) }
    case .files(let files):
      try check(indices)
      let stream = DecodeStream(files, plan: ListPlan(indices, size: indices.count))
      let batch = try stream.next()
      return try tensor(UnsafeRawBufferPointer(batch?.bytes ?? .init(start: nil, count: 0)), device: device)
    }
  }

  /// Calls `body` with the images of `indices` in order, at most `size` at a time, and their positions in `indices`.
  /// Images from files are decoded ahead meanwhile.
  ///
  /// - Throws: as `imageTensor(at:device:)`, and what `body` throws.
  public func forEachBatch(
    of indices: [Int], size: Int, device: Device = .cpu, _ body: (Tensor, Range<Int>) throws -> Void
  ) throws {
    let ranges = BatchSampler.sequential(count: indices.count, batchSize: size)
    guard case .files(let files) = storage else {
      for range in ranges { try body(imageTensor(at: Array(indices[range]), device: device), range) }
      return
    }
    try check(indices)
    let stream = DecodeStream(files, plan: ListPlan(indices, size: size))
    for range in ranges {
      guard let batch = try stream.next() else { return }
      try body(tensor(UnsafeRawBufferPointer(batch.bytes), device: device), range)
    }
  }

  /// The examples at `indices` of a table of bytes, all of them by default, as normalised float32.
  func tensor(_ table: UnsafeRawBufferPointer, at indices: [Int]? = nil, device: Device) throws -> Tensor {
    let indices = indices ?? Array(0..<(table.count / exampleSize))
    let (scales, offsets) = scaling
    let rows = try Tensor.gatherRows(
      table, features: exampleSize, indices: indices, scales: scales, offsets: offsets, device: device)
    return try rows.reshape([indices.count] + exampleShape)
  }

  /// The examples at `indices` of the table on the device.
  private func tensor(at indices: [Int]) throws -> Tensor {
    try check(indices)
    guard let rows = try table?.gather(indices) else {
      throw DatasetError("\(name) (\(split.rawValue)) is on no device.")
    }
    return try rows.reshape([indices.count] + exampleShape)
  }

  /// What bytes are multiplied by, and what is added then, by channel; one for all where every channel has the same.
  var scaling: (scales: [Float], offsets: [Float]) {
    guard vocabulary == nil else { return ([1], [0]) }
    return (normalization?.scales ?? [1 / 255], normalization?.offsets ?? [0])
  }
}
