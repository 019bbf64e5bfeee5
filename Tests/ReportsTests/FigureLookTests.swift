// SPDX-License-Identifier: Apache-2.0

import Foundation
import RunStore
import Testing
import TestSupport

@testable import Charts
@testable import Reports

/// Figures for papers: sizes, letters, axes, and colours that mean one thing.
@Suite struct FigureLookTests {
  private func report(_ levels: [Double] = [0, 0.5], in scratch: Scratch, isProbed: Bool = false) throws -> Report {
    try Report(
      runs: levels.map {
        try SyntheticRun(noise: $0, examples: 400, isProbed: isProbed).write(to: scratch.url, name: "run-\($0)")
      })
  }

  private func figure(_ id: String, of report: Report) throws -> Figure {
    try #require(report.figures().first { $0.id == id })
  }

  private func parsed(_ figure: Figure) throws -> [String: Any] {
    try #require(JSONSerialization.jsonObject(with: Data(figure.specification.utf8)) as? [String: Any])
  }

  @Test func anUnknownFigureListsThoseThereAre() throws {
    let scratch = try Scratch()
    let report = try report(in: scratch)
    #expect(try report.figures(named: ["overfit", "test-accuracy"]).map(\.id) == ["test-accuracy", "overfit"])
    #expect(try report.figures(named: []).count == report.figures().count)
    do {
      _ = try report.figures(named: ["accuracy"])
      Issue.record("expected an error")
    } catch {
      #expect("\(error)".contains("no figure called \"accuracy\". Choose from learning-curves, train-accuracy,"))
    }
  }

  @Test func impossibleLooksAreRefused() {
    for make in [
      { try FigureLook(width: 0.5) }, { try FigureLook(height: 41) }, { try FigureLook(fontSize: 1) },
      { try FigureLook(accuracyFrom: 1) }, { try FigureLook(accuracyFrom: -0.1) }, { try FigureLook(width: .nan) },
    ] as [() throws -> FigureLook] {
      #expect(throws: ChartError.self) { _ = try make() }
    }
  }

  @Test func sizeAndLettersAreThoseAskedFor() throws {
    let scratch = try Scratch()
    let look = try FigureLook(width: 3.25, height: 2.5, fontSize: 8, hasTitle: false)
    let small = try parsed(look.applied(to: figure("test-accuracy", of: report(in: scratch))))
    #expect(small["width"] as? Double == 234 && small["height"] as? Double == 180 && small["title"] == nil)
    #expect((small["autosize"] as? [String: String])?["type"] == "fit")
    let axis = try #require((small["config"] as? [String: Any])?["axis"] as? [String: Any])
    #expect(axis["labelFontSize"] as? Double == 8)
    // One length gives the other.
    let wide = try parsed(FigureLook(width: 5).applied(to: figure("test-accuracy", of: report(in: Scratch()))))
    let height = try #require(wide["height"] as? Double)
    #expect(wide["width"] as? Double == 360 && height > 200 && height < 330)
  }

  @Test func stepAxesOfLayersBecomeLogarithmicToo() throws {
    let scratch = try Scratch()
    let runs = try [1, 2].map { try SyntheticRun(seed: $0).write(to: scratch.url, name: "seed-\($0)") }
    let report = try Report(runs: runs, pooling: [.seed])
    let text = try FigureLook(logarithmicSteps: true).applied(to: figure("test-accuracy", of: report)).specification
    #expect(text.components(separatedBy: "\"scale\":{\"type\":\"log\",\"nice\":false}").count == 3)
  }

  @Test func accuracyAxesBeginWhereTheyAreTold() throws {
    let scratch = try Scratch()
    let report = try report(in: scratch)
    let look = try FigureLook(accuracyFrom: 0.9)
    #expect(try look.applied(to: figure("test-accuracy", of: report)).specification.contains("\"domain\":[0.9,1.0015"))
    #expect(
      try look.applied(to: figure("overfit", of: report)).specification == figure("overfit", of: report).specification)
    let panels = try look.applied(to: figure("learning-curves", of: report)).chart.panels
    let starts = panels.map { panel in
      Set(panel.layers.compactMap { $0["encoding"]?["y"]?["scale"]?["domain"] }.map { $0 == [0.9, 1.0015] })
    }
    #expect(starts == [[true], [true], [false], [true], [true], [false]])
  }

  private func ends(_ curves: [[Double]]) -> ClosedRange<Double> {
    AccuracyAxis.ends(
      of: curves.map { values in
        values.enumerated().map {
          .init(place: Double($0.offset) / Double(max(1, values.count - 1)), value: $0.element)
        }
      })
  }

  @Test func accuraciesThatEndCloseTogetherAreSeenApart() {
    let high = ends([[0.1, 0.6, 0.97, 0.98, 0.985], [0.1, 0.7, 0.99, 1, 1]])
    #expect(high.lowerBound >= 0.94 && high.lowerBound < 0.97 && high.upperBound > 1 && high.upperBound < 1.01)
    #expect(AccuracyAxis.note(high).hasPrefix(" Accuracy axes begin at "))
    let middle = ends([[0.1, 0.3, 0.42, 0.44, 0.48]])
    #expect(middle.lowerBound >= 0.3 && middle.lowerBound < 0.42 && middle.upperBound > 0.48 && middle.upperBound < 0.6)
    // Curves that have to be compared with others far from them keep the whole axis.
    #expect(ends([[0.1, 0.6, 0.97], [0.1, 0.2, 0.3]]) == AccuracyAxis.whole)
    #expect(ends([]) == AccuracyAxis.whole && ends([[.nan]]) == AccuracyAxis.whole)
    #expect(ends([[0.9, 0.4, 0.99, 0.99], [0.99]]).lowerBound > 0.9)
    #expect(AccuracyAxis.note(AccuracyAxis.whole).isEmpty)
  }

  /// What is dense is one line with its scatter; what is sparse stays as it is.
  @Test func denseMeasurementsAreNoScribble() throws {
    let steps = Array(0...400) + Array(stride(from: 500, through: 10_000, by: 500))
    let points = steps.map { step in
      FigurePoint(
        x: Double(step), y: 100 / Double(1 + step) + 5 + (step % 2 == 0 ? 1 : -1) * (step > 20 ? 1 : 0))
    }
    let bins = CurveBins(count: 130, x: .logarithmicFromZero, y: .logarithmic)
    let joined = bins.joined(points)
    #expect(joined.count < 150 && joined.first?.x == 0)
    let last = try #require(points.last)
    #expect(joined.last == FigurePoint(x: last.x, y: last.y, low: last.y, high: last.y))
    #expect(zip(joined, joined.dropFirst()).allSatisfy { $0.x < $1.x })
    let late = joined.filter { $0.x > 100 && $0.x < 400 }
    #expect(late.allSatisfy { abs($0.y - 5 - 100 / (1 + $0.x)) < 0.5 })
    #expect(late.allSatisfy { ($0.high ?? 0) - ($0.low ?? 0) > 1.5 })
    // A smooth curve has no scatter, however steep.
    let smooth = steps.map { FigurePoint(x: Double($0), y: 1 + 2000 * exp(-Double($0) / 40)) }
    #expect(bins.joined(smooth).allSatisfy { $0.low == nil })
    let sparse = points.filter { Int($0.x) % 500 == 0 }
    #expect(bins.joined(sparse) == sparse)
  }

  @Test func aColourMeansOneThing() throws {
    let groups = [Palette.pristine, Palette.corrupt, Palette.test, Palette.neutral].map(\.light)
    let levels = Palette.noise([0, 0.25, 0.5, 0.75, 1]).map(\.light)
    let others = Palette.categorical.map(\.light)
    let all: [String] = groups + levels + others
    #expect(Set(all).count == all.count)
    // A level has its colour whichever others there are, unless they are too close.
    #expect(Palette.noise([0, 0.5]).map(\.light) == [levels[0], levels[2]])
    #expect(Set(Palette.noise([0, 0.02, 0.04]).map(\.light)).count == 3)
    // In all figures of a page, whatever stands beside it.
    #expect(Palette.shades(for: ["50 % noise", "other"], .categorical)[0].light == levels[2])
    #expect(Palette.shades(for: ["0 % noise", "50 % noise"], .ordered).map(\.light) == [levels[0], levels[2]])
    #expect(Palette.shades(for: ["M3"], .categorical) == [Palette.shades(for: ["SGD", "RM3", "M3"], .categorical)[2]])
    #expect(Palette.shades(for: ["training", "test"], .categorical) == [Palette.neutral, Palette.test])
  }

  /// Figures of one kind stand side by side, one for each run.
  @Test func figuresSideBySideShareTheirAxes() throws {
    let scratch = try Scratch()
    let report = try report([0.25, 0.75], in: scratch, isProbed: true)
    func domain(_ id: String, _ channel: String) throws -> [Double] {
      let chart = try figure(id, of: report).chart
      let encoding = try #require(chart.layers.last?["encoding"])
      guard case .array(let ends)? = encoding[channel]?["scale"]?["domain"] else { return [] }
      return ends.compactMap { if case .number(let value) = $0 { value } else { nil } }
    }
    for (id, channels) in [("first-learned", ["x", "y"]), ("contributions-population", ["y"])] {
      for channel in channels {
        let ends = try domain("\(id)-1", channel)
        #expect(ends.count == 2)
        #expect(try domain("\(id)-2", channel) == ends, "\(id) \(channel)")
      }
    }
  }

  @Test func aReportOfOneRunHasTheColoursOfItsGroups() throws {
    let scratch = try Scratch()
    let report = try report([0.5], in: scratch, isProbed: true)
    for (id, shade) in [
      ("train-accuracy", Palette.neutral), ("test-accuracy", Palette.test), ("pristine-accuracy", Palette.pristine),
      ("corrupt-accuracy", Palette.corrupt),
    ] {
      #expect(try figure(id, of: report).specification.contains("\"range\":[\"\(shade.light)\"]"), "\(id)")
    }
    let coherence = try figure("coherence-by-step", of: report).specification
    #expect(coherence.contains("\"range\":[\"\(Palette.neutral.light)\",\"\(Palette.test.light)\"]"))
  }

  @Test func labelsFromAFileHaveTheLevelThatWouldChangeAsMany() throws {
    let scratch = try Scratch()
    let run = try SyntheticRun(noise: 0.5).write(to: scratch.url, name: "run")
    var manifest = try run.manifest()
    manifest.noise = .init(kind: RunManifest.Noise.external, rate: 0.45, realisedRate: 0.45)
    try run.write(manifest: manifest)
    let report = try Report(runs: [run])
    #expect(report.runs.map(\.label) == ["50 % noise"])
    #expect(try report.html(bundle: scratch.bundle()).contains("50\u{A0}%, labels from a file<br>"))
  }

  @Test(.enabled(if: (try? ChartAssets.locate()) != nil, "needs make setup"))
  func picturesHaveTheSizeAskedFor() throws {
    let assets = try ChartAssets.locate()
    let scratch = try Scratch()
    let report = try report(in: scratch, isProbed: true)
    let names = ["learning-curves", "test-accuracy", "coherence-by-step", "first-learned-2", "coherence-by-layer-1"]
    let look = try FigureLook(width: 6, height: 4, fontSize: 7)
    let files = try Figure.export(
      report.figures(named: names).map(look.applied), to: scratch.url.appendingPathComponent("figures"),
      formats: [.svg], assets: assets)
    #expect(files.count == names.count)
    for file in files {
      let start = String(decoding: try Data(contentsOf: file).prefix(300), as: UTF8.self)
      #expect(
        start.contains("width=\"432\"") && start.contains("height=\"288\""), "\(file.lastPathComponent): \(start)")
    }
  }
}
