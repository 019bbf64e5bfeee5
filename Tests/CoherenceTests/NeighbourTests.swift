// SPDX-License-Identifier: Apache-2.0

import GradientMatrix
import NeuralNetworks
import Tensors
import Testing

@testable import Coherence

/// Neighbours among gradients that are given as rows, against all products and a full sort.
@Suite("Neighbours", .serialized)
struct NeighbourTests {
  static let widths = [3, 2]

  /// Rows of small whole numbers, whose products are exact and often equal; one of them 0.
  private static func rows(_ count: Int, seed: UInt64) -> [[Double]] {
    var random = SplitMix(seed: seed)
    return (0..<count).map { row in
      (0..<5).map { _ in row == 4 ? 0 : Double(Int.random(in: -2...2, using: &random)) }
    }
  }

  private static func dot(_ a: [Double], _ b: [Double], _ columns: Range<Int> = 0..<5) -> Double {
    columns.reduce(0) { $0 + a[$1] * b[$1] }
  }

  private static func cosine(_ a: [Double], _ b: [Double], _ columns: Range<Int> = 0..<5) -> Double? {
    let lengths = dot(a, a, columns).squareRoot() * dot(b, b, columns).squareRoot()
    return lengths > 0 ? min(1, max(-1, dot(a, b, columns) / lengths)) : nil
  }

  private func search(
    _ settings: NeighbourSettings, queries: [[Double]], numbers: [Int], areCandidates: Bool, among rows: [[Double]],
    chunk: Int
  ) throws -> Neighbourhoods {
    let vectors = try Vectors(widths: Self.widths)
    let search = try NeighbourSearch(vectors.plan, settings)
    for start in stride(from: 0, to: queries.count, by: chunk) {
      let range = start..<min(start + chunk, queries.count)
      try search.addQueries(
        vectors.matrix(Array(queries[range])), indices: Array(numbers[range]), areCandidates: areCandidates)
    }
    for start in stride(from: 0, to: rows.count, by: chunk) {
      let range = start..<min(start + chunk, rows.count)
      try search.addCandidates(vectors.matrix(Array(rows[range])), indices: range.map { 10 * $0 })
    }
    return search.result()
  }

  /// What a full sort gives: numbers of helpers and opponents.
  private static func sorted(
    _ query: [Double], except: Int?, among rows: [[Double]], limit: Int, _ value: ([Double], [Double]) -> Double
  ) -> (helpers: [Int], opponents: [Int]) {
    let values = rows.enumerated().filter { 10 * $0.offset != except }.map {
      (10 * $0.offset, value(query, $0.element))
    }
    return (
      values.filter { $0.1 > 0 }.sorted { ($1.1, $0.0) < ($0.1, $1.0) }.prefix(limit).map(\.0),
      values.filter { $0.1 < 0 }.sorted { ($0.1, $0.0) < ($1.1, $1.0) }.prefix(limit).map(\.0)
    )
  }

  @Test("As a full sort, whatever the size of chunks", arguments: NeighbourOrder.allCases, [nil, "layer0", "layer1"])
  func fullSort(order: NeighbourOrder, layer: String?) throws {
    let rows = Self.rows(60, seed: 1)
    let columns = layer.map { $0 == "layer0" ? 0..<3 : 3..<5 } ?? 0..<5
    func value(_ a: [Double], _ b: [Double]) -> Double {
      order == .product ? Self.dot(a, b, columns) : Self.cosine(a, b, columns) ?? 0
    }
    for limit in [1, 4, 100] {
      let settings = NeighbourSettings(limit: limit, order: order, layer: layer, keepsValues: true)
      var first: Neighbourhoods?
      for chunk in [1, 7, 60] {
        let numbers = [30, 40, 0, 590]
        let found = try search(
          settings, queries: numbers.map { rows[$0 / 10] }, numbers: numbers, areCandidates: true, among: rows,
          chunk: chunk)
        #expect(found.layers == ["layer0", "layer1"] && found.candidates == rows.indices.map { 10 * $0 })
        #expect(found.queries.map(\.query) == numbers)
        for (neighbourhood, number) in zip(found.queries, numbers) {
          let query = rows[number / 10]
          let expected = Self.sorted(query, except: number, among: rows, limit: limit, value)
          #expect(neighbourhood.helpers.map(\.index) == expected.helpers)
          #expect(neighbourhood.opponents.map(\.index) == expected.opponents)
          #expect(neighbourhood.squaredNorm == Self.dot(query, query))
          for neighbour in neighbourhood.helpers + neighbourhood.opponents {
            let other = rows[neighbour.index / 10]
            #expect(neighbour.similarity.dot == Self.dot(query, other))
            #expect(neighbour.similarity.cosine == Self.cosine(query, other))
            #expect(neighbour.byLayer.map(\.dot) == [Self.dot(query, other, 0..<3), Self.dot(query, other, 3..<5)])
            #expect(
              neighbour.byLayer.map(\.cosine) == [Self.cosine(query, other, 0..<3), Self.cosine(query, other, 3..<5)])
          }
          let values = try #require(neighbourhood.values)
          for (place, own) in values.enumerated() {
            #expect(10 * place == number ? own.isNaN : own == value(query, rows[place]))
          }
        }
        #expect(found.queries[1].helpers.isEmpty && found.queries[1].opponents.isEmpty, "The gradient of 40 is 0.")
        // Values hold NaN, which equals nothing.
        if let first {
          #expect(found.queries.map(\.helpers) == first.queries.map(\.helpers))
          #expect(found.queries.map(\.opponents) == first.queries.map(\.opponents))
        }
        first = first ?? found
      }
    }
  }

  @Test("Others than the candidates have all of them as neighbours")
  func strangers() throws {
    let rows = Self.rows(30, seed: 2)
    let query: [Double] = [1, -1, 0, 2, 1]
    let found = try search(
      NeighbourSettings(limit: 5), queries: [query], numbers: [20], areCandidates: false, among: rows, chunk: 11)
    let expected = Self.sorted(query, except: nil, among: rows, limit: 5) { Self.dot($0, $1) }
    #expect(found.queries[0].helpers.map(\.index) == expected.helpers && found.queries[0].values == nil)
    #expect(found.queries[0].opponents.map(\.index) == expected.opponents)
    // An equal gradient: a cosine of 1, and the product its square.
    let twin = try search(
      NeighbourSettings(limit: 1, order: .cosine), queries: [rows[3]], numbers: [0], areCandidates: false, among: rows,
      chunk: 30)
    #expect(twin.queries[0].helpers.first?.similarity.cosine.map { $0 > 1 - 1e-12 && $0 <= 1 } == true)
  }

  @Test("What became of neighbourhoods")
  func change() throws {
    let settings = NeighbourSettings(limit: 2, keepsValues: true)
    func among(_ firsts: [Double]) throws -> Neighbourhoods {
      try search(
        settings, queries: [[1, 0, 0, 0, 0]], numbers: [-1], areCandidates: false,
        among: firsts.map { [$0, 1, 0, 0, 0] }, chunk: 3)
    }
    let before = try among([5, 4, 0, 1, -3, -2, -1])
    #expect(before.queries[0].helpers.map(\.index) == [0, 10] && before.queries[0].opponents.map(\.index) == [40, 50])
    let now = try among([4, 0, 6, 4, -5, 1, -6])
    let change = try now.changes(since: before)
    // Helpers now 20, 0 (30 is as good, and later); opponents 60, 40.
    #expect(
      change == [
        NeighbourhoodChange(helpersKept: 0.5, opponentsKept: 0.5, helperRanks: [2, 5], opponentRanks: [2, 4])
      ])
    let none = try among([0, 0, 0])
    let other = try among([1, 1, 1])
    #expect(
      try other.changes(since: none) == [
        NeighbourhoodChange(helpersKept: nil, opponentsKept: nil, helperRanks: [], opponentRanks: [])
      ])
    #expect(try before.changes(since: before)[0].helperRanks == [1, 2])
    expectMessage("neighbourhoods of other examples cannot be compared") { _ = try now.changes(since: none) }
    let without = try search(
      NeighbourSettings(limit: 2), queries: [[1, 0, 0, 0, 0]], numbers: [-1], areCandidates: false,
      among: [[1, 0, 0, 0, 0]], chunk: 1)
    expectMessage("keepsValues") { _ = try without.changes(since: without) }
    #expect(without.adding(without).queries.count == 2)
  }

  @Test("What is refused")
  func mistakes() throws {
    let vectors = try Vectors(widths: Self.widths)
    let matrix = try vectors.matrix([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    expectMessage("0 neighbours were requested; request at least 1") {
      _ = try NeighbourSearch(vectors.plan, NeighbourSettings(limit: 0))
    }
    expectMessage("there is no layer conv1 with parameters; choose among layer0, layer1") {
      _ = try NeighbourSearch(vectors.plan, NeighbourSettings(layer: "conv1"))
    }
    let batchPlan = try GradientPlan(vectors.plan.model, store: vectors.plan.store, batchNormPolicy: .batch)
    expectMessage("use the running policy for batch norm") { _ = try NeighbourSearch(batchPlan) }
    let search = try NeighbourSearch(vectors.plan)
    expectMessage("1 numbers were given for the gradients of 2 examples") {
      try search.addQueries(matrix, indices: [3], areCandidates: true)
    }
    try search.addQueries(matrix, indices: [3, 4], areCandidates: true)
    expectMessage("the gradient of example 8 is not finite in layer layer1") {
      try search.addCandidates(vectors.matrix([[1, 0, 0, 0, 0], [0, 0, 0, .infinity, 0]]), indices: [7, 8])
    }
    try search.addCandidates(matrix, indices: [3, 9])
    expectMessage("examples were added after candidates") {
      try search.addQueries(matrix, indices: [5, 6], areCandidates: true)
    }
  }

  private func expectMessage(
    _ part: String, at location: SourceLocation = #_sourceLocation, _ body: () throws -> Void
  ) {
    let error = #expect(throws: CoherenceError.self, sourceLocation: location, performing: body)
    #expect(error?.description.contains(part) == true, "\(error.map(\.description) ?? "")", sourceLocation: location)
  }
}
