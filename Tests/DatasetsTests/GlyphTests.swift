// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Datasets

/// The invented characters of glyphs:K.
@Suite struct GlyphTests {
  @Test func classesAreThere() throws {
    let train = try DatasetLoader.load(name: "glyphs:30", split: .train, count: 2000)
    #expect(train.name == "glyphs:30" && train.classCount == 30 && train.exampleShape == [1, 28, 28])
    #expect(Set(train.labels).count == 30)
    let entry = try DatasetCatalog.entry(named: "glyphs:30")
    #expect(entry.isBuiltIn && entry.classNames.count == 30 && entry.counts["train"] == 60_000)
    // A smaller set is a prefix of a larger one.
    let fewer = try DatasetLoader.load(name: "glyphs:30", split: .train, count: 100)
    #expect(fewer.labels == Array(train.labels.prefix(100)))
  }

  /// Shapes follow from a class's number alone, and differ from class to class.
  @Test func shapesAreTheirOwn() {
    let many = InventedGlyphs.styles(classes: 200)
    let few = InventedGlyphs.styles(classes: 12)
    #expect(few.map { $0.map { $0.map(\.points) } } == many.prefix(12).map { $0.map { $0.map(\.points) } })
    let points = many.map { $0.flatMap { $0.flatMap(\.points) } }
    #expect(Set(points).count == 200)
    #expect(points.joined().allSatisfy { (4...96).contains($0) })
    #expect(many.allSatisfy { $0.count == 1 && (2...3).contains($0[0].count) })
  }

  @Test(arguments: ["glyphs", "glyphs:", "glyphs:1", "glyphs:1001", "glyphs:ten", "glyphs:10:2"])
  func badNumbers(_ name: String) {
    #expect {
      _ = try DatasetLoader.load(name: name, split: .test, count: 10)
    } throws: { error in
      "\(error)".contains("glyphs:K with K from 2 to 1000")
    }
  }
}
