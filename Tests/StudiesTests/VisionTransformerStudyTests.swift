// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Studies

/// The study of a vision transformer: how its claims are judged.
@Suite struct VisionTransformerStudyTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// Three seeds of a network, with r from 4 down to 2, up to a peak at step 200, and down to 2; real and random labels.
  private func runs(_ model: String, real: Double = 40, random: Double = 8) -> [SampleRun] {
    [(0.0, real), (1, random)].flatMap { noise, peak in
      SampleRun(noise: noise, optimizer: "adamw", model: model).seeded().map { run in
        run.with {
          $0.train = { _ in 1 }
          $0.coherence = { $0 < 20 ? 4 : $0 < 100 ? 2 : $0 < 200 ? peak / 2 : $0 < 300 ? peak : 2 }
          if model == "resnet20" { $0.extra = ["norm": "group:8"] }
        }
      }
    }
  }

  private func both(
    real: Double = 40, random: Double = 8, _ change: ([SampleRun]) -> [SampleRun] = { $0 }
  ) -> [SampleRun] { runs("resnet20") + change(runs("vit_tiny", real: real, random: random)) }

  @Test func theCourseOfEachNetwork() throws {
    try expect(parts: "VT-1", [.held, .held], on: both())
    try expect(parts: "VT-1", [.didNotHold, .held], on: both(real: 12))
    try expect(parts: "VT-1", [.didNotHold, .held], on: both(random: 2))
    try expect(parts: "VT-1", [.inconclusive, .held], on: both { $0.filter { $0.noise == 0 } })
    try expect(parts: "VT-1", [.held, .inconclusive], on: runs("vit_tiny"))
    // Other optimizers, and batch statistics, are not what it is about.
    let others = both().map { run in run.with { ($0.optimizer, $0.coherence) = ("sgd", { _ in 1 }) } }
    let coupled = runs("resnet20", real: 4).map { run in run.with { $0.extra = [:] } }
    try expect(parts: "VT-1", [.held, .held], on: both() + others + coupled)
  }

  @Test func theHeightOfThePeaks() throws {
    try expect("VT-2", .held, on: both())
    try expect("VT-2", .held, on: both(real: 70))
    try expect("VT-2", .didNotHold, on: both(real: 100), saying: "more than a factor of two")
    try expect("VT-2", .didNotHold, on: both(real: 16), saying: "more than a factor of two")
    let unsure = both { runs in
      runs.map { run in
        run.with {
          let top = [30.0, 80, 130][Int(run.seed) - 1]
          $0.coherence = { $0 < 100 ? 2 : $0 < 300 ? top : 2 }
        }
      }
    }
    try expect("VT-2", .inconclusive, on: unsure, saying: "two standard errors of two")
    try expect("VT-2", .inconclusive, on: both { $0.map { run in run.with { $0.m = 500 } } }, saying: "differ in m")
    try expect("VT-2", .inconclusive, on: runs("vit_tiny"), saying: "both networks")
  }

  @Test func figuresOfTheStudy() throws {
    let directories = try both().map { try $0.write(in: scratch) }
    let figures = try StudyFigures.figures(for: "beyond/vit", runs: directories)
    #expect(figures.map(\.id) == ["coherence-evolution", "accuracy"])
    #expect(try StudyFigures.figures(for: "beyond/vit", runs: []).isEmpty)
  }
}
