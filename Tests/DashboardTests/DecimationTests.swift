// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import Testing

@testable import Dashboard

/// Thinned curves, against the slow way: every point is put into its column of pixels.
@Suite struct DecimationTests {
  private func curve(_ count: Int, step: Double) -> (x: [Double], y: [Double]) {
    var state: UInt64 = 7
    let y = (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Double(state >> 40)
    }
    return ((0..<count).map { Double($0) * step }, y)
  }

  @Test(arguments: [(5000, 1.0), (40_001, 7.0)], [FigureScale.linear, .logarithmicFromZero])
  func everyColumnKeepsItsEnds(_ size: (Int, Double), _ scale: FigureScale) {
    let (x, y) = curve(size.0, step: size.1)
    let columns = 100
    let kept = Decimation.places(x: x, y: y, columns: columns)
    #expect(kept == kept.sorted() && Set(kept).count == kept.count)
    #expect(kept.first == 0 && kept.last == x.count - 1)
    #expect(kept.count <= 3 * columns + 4)
    let drawn = scale == .linear ? columns : columns / 2
    let (start, end) = (scale.place(x[0]), scale.place(x[x.count - 1]))
    func columnOf(_ index: Int) -> Int {
      min(drawn - 1, Int((scale.place(x[index]) - start) / (end - start) * Double(drawn)))
    }
    let all = Dictionary(grouping: x.indices, by: columnOf)
    let some = Dictionary(grouping: kept, by: columnOf)
    for (column, places) in all {
      // A point on an edge may count for either side.
      guard places.count > 2 else { continue }
      let inner = places.dropFirst().dropLast()
      let shown = (some[column] ?? []) + (some[column - 1] ?? []).suffix(1) + (some[column + 1] ?? []).prefix(1)
      let (low, high) = (inner.map { y[$0] }.min() ?? 0, inner.map { y[$0] }.max() ?? 0)
      #expect((shown.map { y[$0] }.min() ?? .infinity) <= low && (shown.map { y[$0] }.max() ?? -.infinity) >= high)
    }
  }

  /// A card keeps this many points: more would be thinned once again.
  @Test func aCardShowsAllThatIsKept() throws {
    let (x, y) = curve(200_000, step: 3)
    let kept = Decimation.places(x: x, y: y)
    #expect(kept.count > 800 && kept.count <= 2000)
    let curve = RunCurves.Curve(name: "test", points: kept.map { FigurePoint(x: x[$0], y: y[$0]) })
    let figures = RunFigures.figures(
      of: RunCurves(loss: [curve], accuracy: [], alpha: [], layers: nil, contributions: []))
    let report = PageFrame.report(of: figures)
    let data = try JSONSerialization.jsonObject(with: Data(report.utf8)) as? [String: Any]
    let figure = (data?["figures"] as? [[String: Any]])?.first
    let set = (figure?["data"] as? [String: [String: Any]])?["loss"]
    let drawn = (set?["series"] as? [[String: Any]])?.first?["x"] as? [Double]
    #expect(drawn?.count == kept.count)
  }

  @Test func shortCurvesStayWhole() {
    let (x, y) = curve(300, step: 1)
    #expect(Decimation.places(x: x, y: y, columns: 100) == Array(0..<300))
    #expect(Decimation.places(x: [], y: []).isEmpty)
  }

  @Test func valuesThatAreNotFiniteAreLeftOut() {
    var (x, y) = curve(5000, step: 1)
    for index in [0, 1, 77, 4999] { y[index] = .nan }
    y[2000] = .infinity
    let kept = Decimation.places(x: x, y: y, columns: 100)
    #expect(kept.first == 2 && kept.last == 4998 && kept.allSatisfy { y[$0].isFinite })
    #expect(Decimation.places(x: x, y: x.map { _ in .nan }, columns: 100).isEmpty)
    x = x.map { _ in 3 }
    #expect(!Decimation.places(x: x, y: y, columns: 100).isEmpty)
  }
}
