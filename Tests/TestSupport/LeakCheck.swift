// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing

/// Runs `body` and expects as many live tensors, generators, gradient views, captures and errors afterwards as before.
/// The counts are those of the thread, so that tests can run side by side.
public func withLeakCheck<Result>(
  sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Result
) rethrows -> Result {
  let before = Runtime.liveHandles
  defer {
    let now = Runtime.liveHandles
    if now != before { Issue.record("handles before \(before), afterwards \(now)", sourceLocation: sourceLocation) }
  }
  return try body()
}
