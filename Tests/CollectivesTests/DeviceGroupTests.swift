// SPDX-License-Identifier: Apache-2.0

import CNCCLOnHost
import Foundation
import Synchronization
import TestSupport
import Tensors
import Testing

@testable import Collectives

/// Groups whose tensors go as those of GPUs do: over the functions of NCCL, here between threads.
@Suite(.serialized) struct DeviceGroupTests {
  /// - Parameter place: of each rank's GPU.
  private func asDevices<Result: Sendable>(
    _ count: Int, timeout: Duration = .seconds(60),
    place: @escaping @Sendable (_ rank: Int) -> String = { "gpu \($0)" },
    _ body: @escaping @Sendable (ProcessGroup) throws -> Result
  ) throws -> [Result] {
    try asRanks(
      count, timeout: timeout,
      joining: { try ProcessGroup($0, timeout: $1, nccl: host_nccl(place($0.rank))) }, body)
  }

  @Test(arguments: [2, 3, 4]) func numbersAreThoseOfHosts(_ count: Int) throws {
    @Sendable func numbers(_ group: ProcessGroup) throws -> [[Double]] {
      let base = Double(10 * group.rank)
      let even = try group.exchange(
        Tensor((0..<2 * count).map { base + Double($0) }).reshape([count, 2]))
      // Rank r sends r rows to the last rank, and nothing to the others.
      let (last, zeros) = (count - 1, [Int](repeating: 0, count: count - 1))
      let uneven = try group.exchange(
        Tensor.full([group.rank, 3], base, dtype: .float64), sent: zeros + [group.rank],
        received: group.rank == last ? Array(0..<count) : zeros + [0])
      let nothing = try group.exchange(
        Tensor.zeros([0, 3]), sent: zeros + [0], received: zeros + [0])
      let all = try Tensor.zeros([2 * count], dtype: .float64)
      try group.gather(Tensor([base, 1]), into: all)
      let first = try Tensor([base + 5, 0.1])
      try group.broadcast(first)
      let sum = try Tensor((0..<11).map { 0.1 * Double(group.rank + 1) + Double($0) })
      try group.sum(sum)
      let bytes = try group.broadcast(group.rank == 0 ? Data([1, 2, 3]) : Data()).map(Double.init)
      return [
        try even.values(), try uneven.values(), try nothing.values(), try all.values(), try first.values(),
        try sum.values(), bytes, try group.sum([base]), [Double(group.bytesSent)],
      ]
    }
    let before = host_nccl_calls()
    let direct = try asDevices(count, numbers)
    #expect(host_nccl_calls() >= before + 8 * Int64(count))
    let between = host_nccl_calls()
    #expect(try asRanks(count, numbers) == direct)
    #expect(host_nccl_calls() == between)
  }

  /// Two ranks on one GPU, or one without NCCL: everything goes through the hosts' memory.
  @Test(arguments: [["a", "b", "a"], ["a", "", "c"]]) func whereItCannotBeHadHostsExchange(_ places: [String]) throws {
    let before = host_nccl_calls()
    let found = try asDevices(3, place: { places[$0] }) { group in try group.sum([Double(group.rank)]) }
    #expect(found == [[3], [3], [3]] && host_nccl_calls() == before)
  }

  /// A rank that ends in the middle of things, or never comes to a call: the others give up and say who it was.
  @Test(arguments: [false, true]) func whoIsLostIsNamed(_ isSilent: Bool) throws {
    let before = host_nccl_aborts()
    let clock = ContinuousClock()
    let begun = clock.now
    let found = try asDevices(3, timeout: .seconds(4)) { group -> String in
      _ = try group.sum([1])
      if group.rank == 1 {
        // Alive, and somewhere else.
        if isSilent { Thread.sleep(forTimeInterval: 9) }
        return ""
      }
      do {
        _ = try group.sum([1])
        return "done"
      } catch let error as ProcessGroupError {
        return error.description
      }
    }
    let words = isSilent ? "it took longer than 4 s" : "rank 1"
    #expect(found[0].contains(words) && found[2].contains(words), "\(found)")
    #expect(host_nccl_aborts() >= before + 2)
    #expect(clock.now - begun < .seconds(40))
  }

  /// A rank that does not come to the first call, in which the ranks connect.
  @Test func whoDoesNotConnectIsNamed() throws {
    let found = try asDevices(2, timeout: .seconds(3)) { group -> String in
      if group.rank == 1 { return "" }
      do {
        _ = try group.sum([1])
        return "done"
      } catch let error as ProcessGroupError {
        return error.description
      }
    }
    #expect(found[0].contains("rank 1"), "\(found)")
  }

  /// A rank whose GPU cannot be connected says so to the others, which do not wait for as long as they may.
  @Test(arguments: [0, 1]) func aConnectionThatFailsIsToldToAll(_ broken: Int) throws {
    host_nccl_break(Int32(broken))
    defer { host_nccl_break(-1) }
    let clock = ContinuousClock()
    let begun = clock.now
    let found = try asDevices(2) { group -> [String] in
      (0..<2).map { _ in
        do {
          _ = try group.sum([1])
          return "done"
        } catch { return "\(error)" }
      }
    }
    #expect(found[broken][0].contains("NCCL: something failed"), "\(found)")
    #expect(found[1 - broken][0].contains("rank \(broken)"), "\(found)")
    // Hosts would exchange what GPUs could not.
    #expect(found.allSatisfy { !$0.contains("done") })
    #expect(clock.now - begun < .seconds(30))
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let found = try asDevices(2) { group -> [String] in
      func message(_ body: () throws -> Void) -> String {
        do {
          try body()
          return "done"
        } catch { return "\(error)" }
      }
      return [
        message { try group.gather(Tensor.zeros([3], dtype: .float64), into: Tensor.zeros([6])) },
        message { try group.gather(Tensor.zeros([3]), into: Tensor.zeros([5])) },
        message { try group.gather(Tensor.zeros([3, 2]).transpose(0, 1), into: Tensor.zeros([12])) },
        message { _ = try group.exchange(Tensor.zeros([2, 3]), sent: [-1, 3], received: [1, 1]) },
      ]
    }
    for messages in found {
      #expect(messages[0].contains("one device and type") && messages[2].contains("contiguous"), "\(messages)")
      #expect(messages[1].contains("2 shards of 3") && messages[3].contains("no -1 rows"), "\(messages)")
    }
  }

  @Test func theWayIsKnown() throws {
    let ways = try asDevices(2) { group -> [Bool?] in
      let before = group.isDirect
      _ = try group.sum([1])
      return [before, group.isDirect]
    }
    #expect(ways == [[nil, true], [nil, true]])
    let shared = try asDevices(2, place: { _ in "the same" }) { group -> Bool? in
      _ = try group.sum([1])
      return group.isDirect
    }
    #expect(shared == [false, false])
    #expect(ProcessGroup().isDirect == nil)
  }

  /// A connection that was given up is not used again.
  @Test func laterCallsFailToo() throws {
    let found = try asDevices(2, timeout: .seconds(3)) { group -> [String] in
      _ = try group.sum([1])
      if group.rank == 1 { return [] }
      return (0..<2).map { _ in
        do {
          _ = try group.sum([1])
          return "done"
        } catch { return "\(error)" }
      }
    }
    #expect(found[0].count == 2 && found[0].allSatisfy { $0.contains("rank 1") }, "\(found)")
  }
}
