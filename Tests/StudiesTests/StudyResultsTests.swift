// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Studies

@Suite struct StudyResultsTests {
  /// A grid of which many cells fail for one reason says it once.
  @Test func oneReasonIsSaidOnce() {
    func cell(_ name: String, _ status: String, _ problem: String?) -> StudyResults.CellRecord {
      .init(name: name, title: "", status: status, problem: problem, results: "runs/\(name)", command: "")
    }
    let full = (1...5).map { cell("full-\($0)", "failed", "The disk is full.") }
    let cells =
      [full[0], cell("a", "failed", "It was killed."), cell("b", "completed", nil)] + full.dropFirst()
      + [cell("c", "failed", "It was killed.")]
    #expect(
      StudyResults.problems(of: cells) == [
        "cells full-1, full-2 and 3 more: The disk is full.", "cells a, c: It was killed.",
      ])
    #expect(StudyResults.problems(of: [cells[1]]) == ["cell a: It was killed."])
  }
}
