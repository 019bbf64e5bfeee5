// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// A tensor's elements on their way to the host, as they were when it was made: a GPU goes on meanwhile with what it is
/// given next. Nothing is recorded.
public final class HostCopy {
  private let pointer: OpaquePointer

  /// Begins to copy a tensor of any layout.
  ///
  /// - Throws: `TensorError` when memory runs out.
  public init(_ tensor: Tensor) throws {
    pointer = try Tensor.handle("no copy was begun", "HostCopy", [tensor]) { ct_host_copy_begin($0, tensor.pointer) }
  }

  deinit { ct_host_copy_free(pointer) }

  /// The copy, contiguous and on the CPU, once it is there.
  ///
  /// - Throws: `TensorError` when the device failed meanwhile.
  public func tensor() throws -> Tensor { try Tensor.producing("HostCopy.tensor") { ct_host_copy_wait($0, pointer) } }
}
