// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The bytes of all examples on a device: mini-batches are gathered where they are used, and neither the host's memory
/// nor the way from it is needed for them.
final class DeviceTable: @unchecked Sendable {
  /// Larger data sets stay with the host: a device has its memory for other things.
  static let mostBytes = 2 << 30

  // Never written to, so that any thread may read it.
  private let bytes, scales, offsets: Tensor

  /// - Parameters:
  ///   - table: rows of `features` bytes.
  ///   - scaling: what the bytes of each plane of a row are multiplied by, and what is added then.
  /// - Throws: `TensorError` when the device has no room.
  init(
    _ table: UnsafeRawBufferPointer, features: Int, scaling: (scales: [Float], offsets: [Float]), device: Device
  ) throws {
    bytes = try Tensor(bytes: table, shape: [table.count / features, features], dtype: .uint8).to(device: device)
    scales = try Tensor(scaling.scales, shape: [scaling.scales.count, 1], device: device)
    offsets = try Tensor(scaling.offsets, shape: [scaling.offsets.count, 1], device: device)
  }

  var device: Device { bytes.device }

  /// scales[c]·rows[indices] + offsets[c] as float32 [indices.count, features], to the bits of `Tensor.gatherRows`.
  ///
  /// - Parameter indices: in 0 ..< the number of rows: on a device nobody looks again.
  func gather(_ indices: [Int]) throws -> Tensor {
    let rows = try bytes.indexSelect(0, Tensor(indices, device: device)).to(.float32)
    let planes = scales.size(0)
    return try (rows.reshape([indices.count, planes, bytes.size(1) / planes]) * scales + offsets)
      .reshape([indices.count, bytes.size(1)])
  }
}

extension Dataset {
  /// The same data set with the bytes of its images on a device too, where that is another than the host and they are no
  /// more than 2 GiB: mini-batches for it are then gathered there. Without room on the device it stays as it is.
  ///
  /// - Throws: `TensorError` when the device fails.
  public func placed(on device: Device) throws -> Dataset {
    guard device != .cpu, case .memory(let images) = storage, images.count <= DeviceTable.mostBytes else { return self }
    do { return try withTable(of: images, on: device) } catch let error as TensorError where error.kind == .outOfMemory
    {
      return self
    }
  }

  func withTable(of images: ByteStorage, on device: Device) throws -> Dataset {
    var placed = self
    placed.table = try images.withUnsafeBytes {
      try DeviceTable($0, features: exampleSize, scaling: scaling, device: device)
    }
    return placed
  }
}
