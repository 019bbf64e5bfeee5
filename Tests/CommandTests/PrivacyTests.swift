// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

/// Private training from the command line.
@Suite struct PrivacyTests {
  private func train(_ more: [String]) throws -> Program.Result {
    try Program.run(
      ["train", "--dataset", "digits", "--subset", "200", "--test-subset", "100", "--batch-size", "20", "-q"] + more
    )
  }

  @Test func whatIsPromisedIsSaid() throws {
    let scratch = try Scratch()
    let out = scratch.path("run")
    let result = try train([
      "--model", "mlp:8", "--steps", "10", "--optimizer", "dp-sgd:clip=1,epsilon=3,delta=1e-5", "--out", out,
    ])
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.output.contains("Privacy: epsilon 3 at delta 1e-05 after 10 steps with noise"), "\(result.output)")
    let page = try String(contentsOfFile: out + "/report.html", encoding: .utf8)
    #expect(page.contains("ε = 3"))
    // From its own configuration the run is repeated.
    let again = try train(["--config", out + "/config.yaml", "--out", scratch.path("again")])
    #expect(again.code == 0, "\(again.errors)")
    for name in ["metrics.csv", "examples.csv"] {
      let files = try [out, scratch.path("again")].map { try Data(contentsOf: URL(fileURLWithPath: "\($0)/\(name)")) }
      #expect(files[0] == files[1], "\(name)")
    }
  }

  @Test func auditsAreNotPrivate() throws {
    let scratch = try Scratch()
    let audit = try Program.run([
      "audit", "--dataset", "digits", "--subset", "60", "--optimizer", "dp-sgd:clip=1,noise=1", "--out",
      scratch.path("audit"),
    ])
    #expect(audit.code != 0 && audit.errors.contains("leave --optimizer out"), "\(audit.errors)")
    #expect(!FileManager.default.fileExists(atPath: scratch.path("audit/run")))
  }

  @Test func groupNormTakesTheBatchesPlace() throws {
    let scratch = try Scratch()
    let word = "dp-sgd:clip=1,noise=1+adam"
    let batch = try train([
      "--model", "resnet20", "--steps", "2", "--optimizer", word, "--out", scratch.path("batch"),
    ])
    #expect(batch.code == 1 && batch.errors.contains("normalise by --norm group:8"), "\(batch.errors)")
    let group = try train([
      "--model", "resnet20", "--norm", "group:8", "--steps", "2", "--batch-size", "4", "--optimizer", word, "--out",
      scratch.path("group"),
    ])
    #expect(group.code == 0 && group.output.contains("Privacy: epsilon"), "\(group.errors)")
  }
}
