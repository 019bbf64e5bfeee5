// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import TestSupport
import Testing

@testable import Charts
@testable import Reports

/// Reports on runs that were edited: everything that the reader lets pass is drawn without ending the program.
@Suite struct ForeignRunReportTests {
  private static let header = "step,split,layer,m,alpha,m_coherence,alpha_unbiased,share,bn_policy\n"

  private func report(_ scratch: Scratch, _ change: (RunDirectory) throws -> Void) throws -> Report {
    let run = try SyntheticRun(noise: 0.5, isProbed: true, hasIntervals: true, hasMeasures: true).write(
      to: scratch.url, name: "run")
    try change(run)
    return try Report(runs: [run])
  }

  private func draw(_ report: Report, _ scratch: Scratch) throws -> String {
    for figure in report.figures() {
      #expect(!figure.specification.isEmpty && !figure.csv.isEmpty)
    }
    #expect(report.findings().runs.count == 1)
    return try report.html(bundle: scratch.bundle())
  }

  @Test(arguments: [0.0, 1, 1e12, 1e-300]) func coherenceOfEverySize(_ r: Double) throws {
    let scratch = try Scratch()
    let report = try report(scratch) { run in
      let lines = [0, 1, 1000, 999_999_999_999].flatMap { step in
        ["all", "a", "b"].map { "\(step),train,\($0),1000000000000,1,\(r),-1e300,1,none\n" }
      }
      try scratch.write(Self.header + lines.joined(), "run/coherence.csv")
    }
    #expect(try draw(report, scratch).contains("</html>"))
  }

  @Test func timesAndSizesAtTheirEnds() throws {
    let scratch = try Scratch()
    let report = try report(scratch) { run in
      var manifest = try run.manifest()
      manifest.summary?.wallSeconds = 1e12
      manifest.summary?.peakRSSBytes = 1_000_000_000_000_000
      (manifest.batchSize, manifest.plannedSteps) = (1_000_000_000_000, 1_000_000_000_000)
      (manifest.noise.rate, manifest.learningRate) = (1, 1e300)
      try run.write(manifest: manifest)
    }
    #expect(try draw(report, scratch).contains("</html>"))
  }

  @Test(arguments: ["1e300", "9.3e18", "-5", "inf"]) func coherenceThatCannotBeIsNamed(_ r: String) throws {
    let scratch = try Scratch()
    #expect {
      _ = try report(scratch) { _ in
        try scratch.write(Self.header + "0,train,all,100,0.5,\(r),,,none\n", "run/coherence.csv")
      }
    } throws: { "\($0)".contains("coherence.csv:2: column m_coherence") }
  }

  /// A quote with an accent on it ends an attribute as any other does.
  @Test func namesAreNoHTML() throws {
    let scratch = try Scratch()
    let name = "a\"\u{301} onmouseover=alert(1) '\u{301} <b\u{301}"
    let report = try report(scratch) { run in
      var manifest = try run.manifest()
      (manifest.model, manifest.dataset.name, manifest.optimizer) = (name, name, name)
      manifest.commandLine = ["coherent", name]
      manifest.extra = ["study": name]
      try run.write(manifest: manifest)
    }
    let page = Array(try draw(report, scratch).unicodeScalars)
    for (scalar, next) in zip(page, page.dropFirst()) where next == "\u{301}" {
      #expect(!"\"'<>".unicodeScalars.contains(scalar))
    }
  }
}
