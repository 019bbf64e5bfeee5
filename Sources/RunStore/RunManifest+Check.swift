// SPDX-License-Identifier: Apache-2.0

extension RunManifest {
  /// Checks every number of a manifest that was read.
  ///
  /// - Parameter place: the file, for messages.
  /// - Throws: `RunStoreError` that names file and key.
  func check(at place: String) throws {
    let check = NumberCheck(place: place)
    let counts: [(Int?, String)] = [
      (machine.threads, "machine.threads"), (dataset.trainExamples, "dataset.train_examples"),
      (dataset.testExamples, "dataset.test_examples"), (dataset.classes, "dataset.classes"),
      (dataset.skippedExamples, "dataset.skipped_examples"), (parameterCount, "parameter_count"), (warmup, "warmup"),
      (batchSize, "batch_size"), (plannedSteps, "planned_steps"),
    ]
    for (count, key) in counts { try check.require(count, key, in: RecordRange.whole) }
    let shares: [(Double?, String)] = [
      (noise.rate, "noise.rate"), (noise.realisedRate, "noise.realised_rate"),
      (dataset.testFraction, "dataset.test_fraction"),
    ]
    for (share, key) in shares { try check.require(share, key, in: RecordRange.share) }
    let finite = [(learningRate, "learning_rate"), (momentum, "momentum"), (weightDecay, "weight_decay")]
    for (number, key) in finite { try check.requireFinite(number, key) }
    try evaluation?.check(check)
    try privacy?.check(check)
    try summary?.check(check)
  }
}

extension RunManifest.Evaluation {
  fileprivate func check(_ check: NumberCheck) throws {
    let parts = [(early, "early"), (regular, "regular"), (last, "last")]
    var counts: [(Int?, String)] = [(evaluations, "evaluations"), (regularDistance, "regular_distance")]
    for (part, name) in parts {
      counts += [(part.train, name + ".train"), (part.test, name + ".test"), (part.validation, name + ".validation")]
    }
    for (count, key) in counts { try check.require(count, "evaluation." + key, in: RecordRange.whole) }
  }
}

extension RunSummary {
  fileprivate func check(_ check: NumberCheck) throws {
    try check.require(steps, "summary.steps", in: RecordRange.whole)
    try check.require(wallSeconds, "summary.wall_seconds", in: RecordRange.amount)
    try check.require(processorSeconds, "summary.processor_seconds", in: RecordRange.amount)
    try check.require(peakRSSBytes, "summary.peak_rss_bytes", in: RecordRange.bytes)
    let moments = [(last, "last"), (best, "best"), (validationSelected, "validation_selected")]
    for (moment, name) in moments {
      guard let moment else { continue }
      try check.require(moment.step, "summary.\(name).step", in: RecordRange.whole)
      let accuracies = [
        (moment.trainAccuracy, "train"), (moment.testAccuracy, "test"), (moment.validationAccuracy, "validation"),
      ]
      for (accuracy, split) in accuracies where accuracy?.isNaN == false {
        try check.require(accuracy, "summary.\(name).\(split)_accuracy", in: RecordRange.measuredShare)
      }
    }
  }
}
