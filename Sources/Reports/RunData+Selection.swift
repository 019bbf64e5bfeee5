// SPDX-License-Identifier: Apache-2.0

import RunStore

extension RunData {
  /// Makes the report about the best or the selected evaluation of this run.
  ///
  /// - Throws: `RunStoreError` when there is none, or when this is the mean of several runs, whose evaluations differ.
  mutating func choose(_ selection: WeightSelection) throws {
    guard members.isEmpty else {
      throw RunStoreError(
        "The runs behind a mean have \(selection.rawValue) evaluations at different steps.",
        remedy: "Leave out --select, or --group.")
    }
    guard let moment = manifest.summary?.moment(selection) else {
      throw RunStoreError(
        "\(directory.url.path) has no \(selection.rawValue) evaluation.",
        remedy: selection == .selected
          ? "Train with --validation N, or leave out --select." : "Wait for the end of the run, or leave out --select.")
    }
    chosen = (selection, moment)
  }

  /// Training and test accuracy at the evaluation that the report is about, with its step.
  var reference: (step: Int, train: Double, test: Double)? {
    guard let chosen else { return trainAndTest.last }
    return trainAndTest.last { $0.step == chosen.moment.step }
  }
}
