// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// How much memory tensors on the CPU take during some work of this thread.
public final class MemoryMeter {
  private var pointer: OpaquePointer?

  private init(_ pointer: OpaquePointer?) { self.pointer = pointer }

  /// Bytes in use now; 0 once the work is done.
  public var live: Int { pointer.map { Int(ct_memory_meter_live($0)) } ?? 0 }

  /// Bytes in use at most since the work began or this was asked last; 0 once the work is done.
  public func takePeak() -> Int { pointer.map { Int(ct_memory_meter_take_peak($0)) } ?? 0 }

  /// Runs `body` with a meter that counts what tensors made meanwhile take. Older tensors do not count, and should not
  /// end meanwhile. Scratch memory that oneDNN takes by itself does not show.
  public static func measure<Result>(_ body: (MemoryMeter) throws -> Result) throws -> Result {
    var pointer: OpaquePointer?
    try check(ct_memory_meter_create(&pointer), "MemoryMeter")
    let meter = MemoryMeter(pointer)
    defer {
      ct_memory_meter_free(meter.pointer)
      meter.pointer = nil
    }
    return try body(meter)
  }
}
