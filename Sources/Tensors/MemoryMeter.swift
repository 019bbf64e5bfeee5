// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// How much memory tensors on the CPU take during some work of this thread.
public struct MemoryMeter: ~Copyable {
  private let pointer: OpaquePointer

  private init(_ pointer: OpaquePointer) { self.pointer = pointer }

  deinit { ct_memory_meter_free(pointer) }

  /// Bytes in use now.
  public var live: Int { Int(ct_memory_meter_live(pointer)) }

  /// Bytes in use at most so far.
  public var peak: Int { Int(ct_memory_meter_peak(pointer)) }

  /// Runs `body` with a meter that counts what tensors made meanwhile take. Older tensors do not count, and should not
  /// end meanwhile. Scratch memory that oneDNN takes by itself does not show.
  public static func measure<Result>(_ body: (borrowing MemoryMeter) throws -> Result) throws -> Result {
    var pointer: OpaquePointer?
    try check(ct_memory_meter_create(&pointer), "MemoryMeter")
    guard let pointer else { throw TensorError(kind: .internal, operation: "MemoryMeter", reason: "no meter was made") }
    let meter = MemoryMeter(pointer)
    return try body(meter)
  }
}
