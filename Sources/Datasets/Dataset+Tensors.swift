// SPDX-License-Identifier: Apache-2.0

import Tensors

extension Dataset {
  /// The images of some examples as float32 [indices.count, channels, height, width], normalised as the data
  /// set says.
  ///
  /// - Throws: `TensorError` when an index is outside the data set or the device fails.
  public func imageTensor(at indices: [Int], device: Device = .cpu) throws -> Tensor {
    let rows = try images.withUnsafeBytes { bytes in
      try Tensor.gatherRows(
        bytes, features: exampleSize, indices: indices, scales: normalization?.scales ?? [1 / 255],
        offsets: normalization?.offsets ?? [0])
    }
    return try rows.reshape([indices.count] + exampleShape).to(device: device)
  }
}
