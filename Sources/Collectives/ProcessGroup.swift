// SPDX-License-Identifier: Apache-2.0

import Foundation
import Tensors

/// Why processes cannot work together: a sentence with the remedy.
public struct ProcessGroupError: Error, CustomStringConvertible, Sendable, Equatable {
  /// What was wrong, and what to do.
  public let description: String
  /// An error with its sentence.
  public init(_ description: String) { self.description = description }
}

/// Processes that train together, as one of them sees it. All ranks make the same calls in the same order.
///
/// A group of one opens no socket, and its calls copy or return what they are given. Sums are made in the order of the
/// ranks, so that their bits depend on nothing else. Tensors of GPUs go by NCCL where every rank has a GPU of its own
/// and the library; else they are copied to the hosts' memory and back.
public final class ProcessGroup {
  /// This process's place, from 0.
  public let rank: Int
  /// The number of processes, N.
  public let count: Int
  /// This process's place among those of its host, from 0: which of its GPUs is this process's.
  public let localRank: Int
  /// Bytes that this rank has sent to others, for a statement of traffic.
  public private(set) var bytesSent = 0
  private let connection: GroupConnection?
  private var exchangedTexts = 0

  /// Whether tensors of GPUs go by NCCL, and not through the hosts' memory; nil before the first one was exchanged.
  public var isDirect: Bool? { try? connection?.isDirect() }

  /// How long ranks wait for each other unless told otherwise.
  public static let usualTimeout = Duration.seconds(300)

  /// A group of this process alone.
  public init() { (rank, count, localRank, connection) = (0, 1, 0, nil) }

  /// Joins the group that a launcher made, and waits until all are there.
  ///
  /// - Parameters:
  ///   - launch: this process's place.
  ///   - timeout: how long to wait for the others, here and in every call.
  /// - Throws: `ProcessGroupError` when some do not come, with the names of those that did, or the port is taken.
  public convenience init(_ launch: Launch, timeout: Duration = usualTimeout) throws {
    try self.init(launch, timeout: timeout, nccl: nil)
  }

  /// - Parameter nccl: functions in place of NCCL's, for tests: see `GroupConnection`.
  init(_ launch: Launch, timeout: Duration, nccl: UnsafeRawPointer?) throws {
    (rank, count, localRank) = (launch.rank, launch.count, launch.localRank)
    guard launch.count > 1 else {
      connection = nil
      return
    }
    let name = "\(ProcessInfo.processInfo.hostName), process \(ProcessInfo.processInfo.processIdentifier)"
    let milliseconds =
      Int(timeout.components.seconds) * 1000 + Int(timeout.components.attoseconds / 1_000_000_000_000_000)
    connection = try Self.explained {
      try GroupConnection(
        host: launch.host, port: launch.port, rank: launch.rank, count: launch.count, milliseconds: milliseconds,
        name: name, nccl: nccl)
    }
  }

  /// The shim's sentence, without the name of the operation.
  private static func explained<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as TensorError where error.kind != .outOfMemory {
      throw ProcessGroupError(error.reason)
    }
  }

  /// Leaves the group. Ranks that go without it count as lost.
  public func leave() { connection?.leave() }

  /// Waits for all.
  ///
  /// - Throws: `ProcessGroupError` that names a rank that was lost; so do all calls below.
  public func barrier() throws { try Self.explained { try connection?.barrier() } }

  // MARK: - Tensors

  /// Row r of `rows` [N, S] goes to rank r.
  ///
  /// - Returns: the rows that came, [N, S], in the order of the ranks.
  public func exchange(_ rows: Tensor) throws -> Tensor {
    let ones = [Int](repeating: 1, count: count)
    return try exchange(rows, sent: ones, received: ones)
  }

  /// So many rows of `rows` go to each rank, in order.
  ///
  /// - Parameters:
  ///   - rows: [Σ sent, S], contiguous.
  ///   - sent: rows for each rank.
  ///   - received: rows that come from each rank: what that one sends here.
  /// - Returns: [Σ received, S], in the order of the ranks.
  public func exchange(_ rows: Tensor, sent: [Int], received: [Int]) throws -> Tensor {
    guard let connection else { return rows }
    guard rows.rank == 2, sent.count == count, received.count == count, sent.reduce(0, +) == rows.size(0) else {
      throw ProcessGroupError(
        "a tensor of shape \(rows.shape) cannot be sent as \(sent) rows among \(count) ranks; give [rows, S] and a number "
          + "of rows for each rank")
    }
    let width = rows.size(1)
    let target = try Tensor.zeros([received.reduce(0, +), width], dtype: rows.dtype, device: rows.device)
    try Self.explained { try connection.exchange(rows, sent: sent, into: target, received: received) }
    try noteTraffic((sent.reduce(0, +) - sent[rank]) * width, of: rows)
    return target
  }

  private func noteTraffic(_ numbers: Int, of tensor: Tensor) throws {
    bytesSent += try numbers * tensor.dtype.byteCount
  }

  /// The shards of all ranks, one after the other, into `target` [N·S].
  public func gather(_ shard: Tensor, into target: Tensor) throws {
    guard let connection else { return try target.copy(from: shard.reshape(target.shape)) }
    try Self.explained { try connection.gather(shard, into: target) }
    try noteTraffic((count - 1) * shard.count, of: shard)
  }

  /// Rank 0's numbers to all.
  public func broadcast(_ tensor: Tensor) throws {
    guard let connection else { return }
    try Self.explained { try connection.broadcast(tensor) }
    if rank == 0 { try noteTraffic((count - 1) * tensor.count, of: tensor) }
  }

  /// The sum over ranks, in place, with the traffic of an all-reduce.
  ///
  /// - Parameter tensor: contiguous; of any shape.
  public func sum(_ tensor: Tensor) throws {
    guard connection != nil else { return }
    let whole = try tensor.reshape([tensor.count])
    for start in stride(from: 0, to: tensor.count, by: Self.slice) {
      let length = min(Self.slice, tensor.count - start)
      let plan = ShardPlan(count: length, ranks: count)
      let part = try whole.narrow(0, from: start, length: length)
      let flat = try Tensor.zeros([plan.padded], dtype: tensor.dtype, device: tensor.device)
      try flat.narrow(0, from: 0, length: length).copy(from: part)
      try gather(sumOfRows(exchange(flat.reshape([count, plan.size]))), into: flat)
      try part.copy(from: flat.narrow(0, from: 0, length: length))
    }
  }

  /// Numbers that are summed at a time: what is sent takes as much memory again as these.
  private static let slice = 1 << 22

  /// Σ of rows [N, S] one after the other: [S].
  public func sumOfRows(_ rows: Tensor) throws -> Tensor {
    let sum = try rows.narrow(0, from: 0, length: 1).reshape([rows.size(1)]).clone()
    for place in 1..<max(1, rows.size(0)) {
      try sum.add(rows.narrow(0, from: place, length: 1).reshape([rows.size(1)]))
    }
    return sum
  }

  /// Rank 0's bytes to all.
  public func broadcast(_ data: Data) throws -> Data {
    guard connection != nil else { return data }
    guard let count = try Int(exactly: gather([Double(data.count)])[0][0]), count > 0 else { return Data() }
    let bytes = try rank == 0 ? Tensor(Array(data)) : Tensor.zeros([count], dtype: .uint8)
    try broadcast(bytes)
    return rank == 0 ? data : Data(try bytes.values(as: UInt8.self))
  }

  // MARK: - Numbers and texts

  /// The numbers of all ranks: as many from each.
  public func gather(_ values: [Double]) throws -> [[Double]] {
    guard connection != nil, !values.isEmpty else { return [values] }
    let all = try Tensor.zeros([count * values.count], dtype: .float64)
    try gather(Tensor(values), into: all)
    let numbers = try all.values(as: Double.self)
    return (0..<count).map { Array(numbers[$0 * values.count..<($0 + 1) * values.count]) }
  }

  /// Sums over ranks, number by number.
  public func sum(_ values: [Double]) throws -> [Double] {
    try gather(values).reduce([Double](repeating: 0, count: values.count)) { zip($0, $1).map(+) }
  }

  /// A short text of every rank, in their order.
  public func texts(_ text: String) throws -> [String] {
    guard let connection else { return [text] }
    exchangedTexts += 1
    let key = "text-\(exchangedTexts)"
    return try Self.explained {
      try connection.publish(text, as: key)
      return try (0..<count).map { try connection.text(key, of: $0) }
    }
  }

  /// Checks that all ranks say the same of something.
  ///
  /// - Parameters:
  ///   - text: what this rank says.
  ///   - what: what it is about, for the message.
  /// - Throws: `ProcessGroupError` that names the ranks that differ from rank 0.
  public func requireSame(_ text: String, _ what: String) throws {
    let texts = try texts(text)
    let others = texts.indices.filter { texts[$0] != texts[0] }
    guard others.isEmpty else {
      let ranks = others.map { "rank \($0) \(texts[$0])" }.joined(separator: ", ")
      throw ProcessGroupError("the ranks differ in \(what): rank 0 has \(texts[0]), \(ranks); give all the same")
    }
  }
}
