// SPDX-License-Identifier: Apache-2.0

import Collectives
import Foundation
import Synchronization
import Testing

/// A port that nobody listens at now.
public func freePort() throws -> Int {
  let handle = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  defer { close(handle) }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let result = withUnsafeMutablePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(handle, $0, length) == 0 ? getsockname(handle, $0, &length) : -1
    }
  }
  try #require(result == 0, "no port is free")
  return Int(UInt16(bigEndian: address.sin_port))
}

/// Runs a body as every rank of a group, each in a thread of its own with real sockets, and gives what each returned.
///
/// - Parameter join: how a rank joins its group.
public func asRanks<Result: Sendable>(
  _ count: Int, port: Int? = nil, timeout: Duration = .seconds(60),
  joining join: @escaping @Sendable (Launch, Duration) throws -> ProcessGroup = { try ProcessGroup($0, timeout: $1) },
  _ body: @escaping @Sendable (ProcessGroup) throws -> Result
) throws -> [Result] {
  let port = try port ?? freePort()
  let results = Mutex<[Int: Swift.Result<Result, any Error>]>([:])
  let threads = (0..<count).map { rank in
    let thread = Thread {
      let result = Swift.Result {
        let group = try join(Launch(rank: rank, count: count, port: port), timeout)
        defer { group.leave() }
        return try body(group)
      }
      results.withLock { $0[rank] = result }
    }
    thread.stackSize = 8 << 20
    thread.start()
    return thread
  }
  while threads.contains(where: { !$0.isFinished }) { Thread.sleep(forTimeInterval: 0.005) }
  let found = results.withLock { $0 }
  return try (0..<count).map { try #require(found[$0]).get() }
}
