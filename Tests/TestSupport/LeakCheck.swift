// SPDX-License-Identifier: Apache-2.0

import Foundation
import Tensors
import Testing

/// Runs `body` and expects as many live tensors, generators, gradientViews and errors afterwards as before.
///
/// The counts are those of the whole process. Where tests run side by side, another test's handles may be among them,
/// so a surplus has a few seconds to go away before it is reported; with `--no-parallel` the check is exact.
public func withLeakCheck<Result>(
  sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Result
) rethrows -> Result {
  let before = Runtime.liveHandles
  defer { expectNoMore(than: before, sourceLocation: sourceLocation) }
  return try body()
}

private func expectNoMore(than before: Runtime.LiveHandles, sourceLocation: SourceLocation) {
  let exact = CommandLine.arguments.contains("--no-parallel")
  for _ in 0..<(exact ? 1 : 300) {
    let now = Runtime.liveHandles
    if exact ? now == before : surplus(now, before).isEmpty { return }
    Thread.sleep(forTimeInterval: exact ? 0 : 0.01)
  }
  let now = Runtime.liveHandles
  Issue.record("handles before \(before), afterwards \(now)", sourceLocation: sourceLocation)
}

private func surplus(_ now: Runtime.LiveHandles, _ before: Runtime.LiveHandles) -> [Int] {
  [
    now.tensors - before.tensors, now.generators - before.generators, now.gradientViews - before.gradientViews,
    now.statuses - before.statuses,
  ].filter { $0 > 0 }
}
