// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization
import TestSupport
import Tensors
import Testing

@testable import Collectives

/// Groups whose ranks are threads of this process: the sockets are real.
@Suite(.serialized) struct ProcessGroupTests {
  @Test(arguments: [1, 2, 3, 4]) func sumsAreThoseOfTheRanksInOrder(_ count: Int) throws {
    // 0.1·(r + 1) has no exact sum, so that another order would show.
    let values = (0..<count).map { rank in (0..<11).map { Float(0.1) * Float(rank + 1) + Float($0) } }
    let expected = (0..<11).map { place in values.dropFirst().reduce(values[0][place]) { $0 + $1[place] } }
    let found = try asRanks(count, port: 29701) { group in
      let tensor = try Tensor(values[group.rank])
      try group.sum(tensor)
      return (try tensor.values(as: Float.self), group.bytesSent, try group.sum([Double(group.rank), 1]))
    }
    for (sum, bytes, numbers) in found {
      #expect(sum == expected && numbers == [Double(count * (count - 1) / 2), Double(count)])
      #expect((bytes == 0) == (count == 1))
    }
  }

  @Test func rowsGoWhereTheyBelong() throws {
    let found = try asRanks(3, port: 29702) { group -> [[Float]] in
      let base = Float(10 * group.rank)
      let even = try group.exchange(Tensor([base, base + 1, base + 2]).reshape([3, 1]))
      // Rank r sends r rows to the last rank, and nothing to the others.
      let uneven = try group.exchange(
        Tensor.full([group.rank, 2], Double(base)), sent: [0, 0, group.rank],
        received: group.rank == 2 ? [0, 1, 2] : [0, 0, 0])
      let all = try Tensor.zeros([3])
      try group.gather(Tensor([base]), into: all)
      let first = try Tensor([base + 5])
      try group.broadcast(first)
      try group.barrier()
      return [try even.values(), try uneven.values(), try all.values(), try first.values()]
    }
    for (rank, values) in found.enumerated() {
      #expect(values[0] == [0, 1, 2].map { Float(10 * $0 + rank) })
      #expect(values[1] == (rank == 2 ? [10, 10, 20, 20, 20, 20] : []))
      #expect(values[2] == [0, 10, 20] && values[3] == [5])
    }
  }

  @Test func whatDiffersIsNamed() throws {
    let found = try asRanks(3, port: 29703) { group in
      try group.requireSame("x", "the version")
      do {
        try group.requireSame(group.rank == 2 ? "b" : "a", "the configuration")
        return ""
      } catch let error as ProcessGroupError {
        return error.description
      }
    }
    let sentence = "the ranks differ in the configuration: rank 0 has a, rank 2 b; give all the same"
    #expect(found == [sentence, sentence, sentence])
  }

  @Test func whoDoesNotComeIsNamed() throws {
    let error = #expect(throws: ProcessGroupError.self) {
      _ = try ProcessGroup(Launch(rank: 0, count: 2, port: 29704), timeout: .seconds(1))
    }
    #expect(error?.description.contains("rank 1 did not come within 1 s; present are rank 0") == true)
    let lonely = #expect(throws: ProcessGroupError.self) {
      _ = try ProcessGroup(Launch(rank: 1, count: 2, port: 29705), timeout: .seconds(1))
    }
    #expect(lonely?.description.contains("rank 0 did not answer at 127.0.0.1:29705") == true)
  }

  /// The time of rank 1 would end long after rank 0 has left with the store.
  @Test func whoDoesNotComeIsNamedByAll() throws {
    let port = try freePort()
    let sentences = Mutex<[String]>([])
    let threads = [Duration.seconds(1), .seconds(40)].enumerated().map { rank, timeout in
      let thread = Thread {
        do {
          _ = try ProcessGroup(Launch(rank: rank, count: 3, port: port), timeout: timeout)
        } catch {
          sentences.withLock { $0.append("\(error)") }
        }
      }
      thread.start()
      return thread
    }
    let clock = ContinuousClock()
    let end = clock.now + .seconds(30)
    while threads.contains(where: { !$0.isFinished }), clock.now < end { Thread.sleep(forTimeInterval: 0.005) }
    let found = sentences.withLock { $0 }
    #expect(found.count == 2 && found.allSatisfy { $0.contains("rank 2 did not come within 1 s; present are rank 0") })
  }

  @Test func aTakenPortIsNamed() throws {
    let found = try asRanks(2, port: 29706) { group -> String in
      guard group.rank == 0 else {
        try group.barrier()
        return ""
      }
      defer { try? group.barrier() }
      do {
        _ = try ProcessGroup(Launch(rank: 0, count: 2, port: 29706), timeout: .seconds(1))
        return "joined"
      } catch let error as ProcessGroupError {
        return error.description
      }
    }
    #expect(found[0].contains("port 29706 is in use") && found[0].contains("MASTER_PORT"))
  }

  @Test func aGroupOfOneNeedsNobody() throws {
    let group = ProcessGroup()
    let rows = try Tensor([1, 2, 3]).reshape([1, 3])
    #expect(try group.exchange(rows).values() as [Double] == [1, 2, 3])
    #expect(try group.gather([4.0]) == [[4]] && group.sum([4.0]) == [4] && group.bytesSent == 0)
    try group.requireSame("a", "anything")
    try group.barrier()
    group.leave()
  }
}
