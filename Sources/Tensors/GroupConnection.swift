// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// The shim's group of processes, for `Collectives`: every call is made by all ranks, in the same order. Not for several
/// threads at a time.
package final class GroupConnection {
  private var pointer: OpaquePointer?
  private let count: Int

  /// Joins a group.
  ///
  /// - Parameters:
  ///   - host: where rank 0 listens.
  ///   - port: its port.
  ///   - milliseconds: how long to wait for all to come, and in every call.
  ///   - name: of this process, for messages of the others.
  ///   - nccl: a `ct_nccl` in place of the library's functions, which tensors on the CPU then go by too: for tests.
  /// - Throws: `TensorError` when some do not come, or the port is taken.
  package init(
    host: String, port: Int, rank: Int, count: Int, milliseconds: Int, name: String,
    nccl: UnsafeRawPointer? = nil
  ) throws {
    self.count = count
    try host.withCString { host in
      try name.withCString { name in
        let options = ct_group_options(
          host: host, port: Int32(clamping: port), rank: Int64(rank), count: Int64(count),
          timeout_ms: Int64(milliseconds), name: name, nccl: nccl?.assumingMemoryBound(to: ct_nccl.self))
        try check(ct_group_join(&pointer, options), "ProcessGroup")
      }
    }
  }

  deinit { leave() }

  /// Leaves the group; later calls fail.
  package func leave() {
    ct_group_leave(pointer)
    pointer = nil
  }

  private func joined() throws -> OpaquePointer {
    guard let pointer else {
      throw TensorError(kind: .invalid, operation: "ProcessGroup", reason: "the group was left already")
    }
    return pointer
  }

  /// So many rows of `source` to each rank, in order; `target` takes those of each rank.
  package func exchange(_ source: Tensor, sent: [Int], into target: Tensor, received: [Int]) throws {
    guard sent.count == count, received.count == count else {
      throw TensorError(
        kind: .invalid, operation: "ProcessGroup.exchange", reason: "\(count) ranks need a number of rows each")
    }
    try check(
      ct_group_exchange(
        joined(), target.pointer, source.pointer, received.map { Int64($0) }, sent.map { Int64($0) }),
      "ProcessGroup.exchange", [target, source])
  }

  /// The shards of all ranks one after the other.
  package func gather(_ shard: Tensor, into target: Tensor) throws {
    try check(ct_group_gather(joined(), target.pointer, shard.pointer), "ProcessGroup.gather", [target, shard])
  }

  /// Rank 0's tensor to all.
  package func broadcast(_ tensor: Tensor) throws {
    try check(ct_group_broadcast(joined(), tensor.pointer), "ProcessGroup.broadcast", [tensor])
  }

  /// Whether tensors of GPUs go by NCCL, and not through the hosts' memory; nil before the first one.
  package func isDirect() throws -> Bool? {
    var (known, direct) = (false, false)
    try check(ct_group_is_direct(&known, &direct, joined()), "ProcessGroup.isDirect")
    return known ? direct : nil
  }

  /// Waits for all.
  package func barrier() throws { try check(ct_group_barrier(joined()), "ProcessGroup.barrier") }

  /// A text of this rank, under a key of its own.
  package func publish(_ text: String, as key: String) throws {
    try check(ct_group_publish(joined(), key, text), "ProcessGroup.publish")
  }

  /// What a rank published, once it has.
  package func text(_ key: String, of rank: Int) throws -> String {
    var out: UnsafeMutablePointer<CChar>?
    try check(ct_group_text(joined(), key, Int64(rank), &out), "ProcessGroup.text")
    defer { ct_string_free(out) }
    return out.map { String(cString: $0) } ?? ""
  }
}
