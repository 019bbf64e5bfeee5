// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import coherent

/// An empty path would be the folder that the program runs in.
@Suite struct EmptyNameTests {
  @Test(arguments: [
    ["train", "--dataset", "digits", "--out", ""], ["train", "--dataset", "", "--out", "x"],
    ["study", "run", "gm/linear-example", "--profile", "smoke", "--out", ""], ["study", "report", ""],
    ["study", "card", ""], ["measure", ""], ["report", ""], ["report", "x", "--out", ""], ["serve", ""],
    ["evaluate", ""], ["data", "fetch", "mnist", "--data-dir", ""], ["audit", "--dataset", "digits", "--out", ""],
  ])
  func emptyNamesAreNamed(_ arguments: [String]) async {
    let result = await Program.runHere(arguments)
    #expect(result.code != 0 && result.errors.contains("empty name"), "\(arguments) \(result.errors)")
  }
}
