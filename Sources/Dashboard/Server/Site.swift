// SPDX-License-Identifier: Apache-2.0

import Charts
import Foundation
import Hummingbird
import Reports
import RunStore

/// What answers requests: pages, files and events, from what lies in the folders that are served.
struct Site: HTTPResponder {
  typealias Context = BasicRequestContext

  /// The folders that are served, without symbolic links.
  let roots: [URL]
  /// Who may ask.
  let gate: Gate
  /// The port, once there is one.
  let port: PortNumber
  /// What there is.
  let index: FolderIndex
  /// The curves of runs.
  let curves = CurveStore()
  /// What the pages link.
  let assets: SiteAssets
  /// The JavaScript bundle that reports carry.
  let bundle: URL
  /// Reports, which take long to draw.
  let reports = FileCache<[UInt8]>(limit: 4)
  /// Score cards by study.
  let scoreCards = FileCache<ScoreCardFile?>(limit: 1000)

  /// Audits that were opened.
  let audits = FileCache<OpenAudit>(limit: 8)

  /// Why a request has no answer.
  enum Failure: Error {
    /// There is no such thing, or it has vanished.
    case notFound
    /// What was asked makes no sense.
    case unusable(String)
  }

  func respond(to request: Request, context: BasicRequestContext) async throws -> Response {
    let port = port.value
    switch gate.decide(request, port: port) {
    case .refuse(let status, let sentence):
      return Response.bytes((sentence + "\n").utf8, type: "text/plain; charset=utf-8", status: status)
    case .admit(let location):
      var response = Response.bytes([], type: "text/plain", status: .seeOther)
      response.headers[.location] = location
      response.headers[.setCookie] = gate.cookieHeader(port)
      return response
    case .pass: break
    }
    do {
      let response = try await answer(request)
      guard request.method == .head else { return response }
      return Response(status: response.status, headers: response.headers)
    } catch Failure.notFound {
      return await problem(
        .notFound, "Not found", "There is nothing at this address. It may have been moved or deleted since.")
    } catch Failure.unusable(let sentence) {
      return await problem(.badRequest, "That does not work", sentence)
    } catch {
      return await problem(.internalServerError, "This cannot be shown", "\(error)")
    }
  }

  private func problem(_ status: HTTPResponse.Status, _ title: String, _ sentence: String) async -> Response {
    let frame = frame(await index.snapshot())
    return Response.page(frame.problem(title, sentence), status: status, policy: .plain)
  }

  /// The answer to a request that passed the gate.
  private func answer(_ request: Request) async throws -> Response {
    let parts = try Self.parts(of: request.uri.path)
    if parts.first == "audit", parts.count > 1 { return try await audit(parts[1], Array(parts.dropFirst(2)), request) }
    guard request.method != .post else { throw Failure.unusable("Nothing is decided at this address.") }
    switch (parts.first, parts.count) {
    case (nil, _): return await runs()
    case ("runs", 2) where parts[1] == "rows": return await rows(request)
    case ("compare", 1): return try await compare(request)
    case ("compare", 2) where parts[1] == "figures": return try await comparedFigures(request)
    case ("studies", 1):
      let snapshot = await index.snapshot()
      return page(StudyPages(snapshot: snapshot, cards: scoreCards).list(in: frame(snapshot)))
    case ("audits", 1): return await auditList()
    case ("assets", 2): return try asset(parts[1])
    case ("run", 2...): return try await run(parts[1], Array(parts.dropFirst(2)), request)
    case ("study", 2...): return try await study(parts[1], Array(parts.dropFirst(2)), request)
    default: throw Failure.notFound
    }
  }

  /// The parts of a path, decoded. An encoded slash or a part that leads upwards makes no address of this server.
  static func parts(of path: String) throws -> [String] {
    try path.split(separator: "/").map { part in
      guard let decoded = String(part).removingPercentEncoding, !decoded.contains("/"), decoded != "..", decoded != "."
      else { throw Failure.notFound }
      return decoded
    }
  }

  /// What is around the pages.
  func frame(_ snapshot: FolderIndex.Snapshot) -> SiteFrame {
    SiteFrame(
      assets: assets.links, auditAssets: assets.auditLinks,
      counts: [
        .runs: snapshot.entries(.run).count, .studies: snapshot.entries(.study).count,
        .audits: snapshot.entries(.audit).count,
      ])
  }

  /// A page with figures or without.
  func page(_ html: String, hasFigures: Bool = false) -> Response {
    .page(html, policy: hasFigures ? .figures : .plain)
  }

  private func asset(_ name: String) throws -> Response {
    guard let asset = assets.files[name] else { throw Failure.notFound }
    return Response.bytes(asset.bytes, type: asset.type, keeping: .forever)
  }

  // MARK: - Runs

  private func runs() async -> Response {
    let snapshot = await index.snapshot()
    return page(RunsPage(snapshot: snapshot, roots: roots).html(in: frame(snapshot)))
  }

  private func rows(_ request: Request) async -> Response {
    let html = RunsPage(snapshot: await index.snapshot(), roots: roots).rows
    let tag = "\"\(RunsPage.tag(html))\""
    guard request.headers[.ifNoneMatch] != tag else { return Response(status: .notModified, headers: [.eTag: tag]) }
    var response = Response.page(html, policy: .plain)
    response.headers[.eTag] = tag
    return response
  }

  private func compare(_ request: Request) async throws -> Response {
    let snapshot = await index.snapshot()
    let (runs, notes) = await compared(request, snapshot) { try await curves.reading(of: $0).curves }
    guard !runs.isEmpty else {
      throw Failure.unusable("Choose runs to compare in the table of runs: tick two or more, then press Compare.")
    }
    return page(ComparePage(runs: runs, notes: notes).html(in: frame(snapshot)), hasFigures: true)
  }

  /// The figures of runs that are compared, within some steps.
  private func comparedFigures(_ request: Request) async throws -> Response {
    let steps = try Self.steps(of: request)
    let (runs, notes) = await compared(request, await index.snapshot()) {
      try await curves.curves(of: $0, within: steps)
    }
    // Without one of them the others have other names and colours than on the page.
    guard !runs.isEmpty, notes.isEmpty else { throw Failure.notFound }
    return .report(PageFrame.report(of: ComparePage(runs: runs, notes: []).figures))
  }

  /// The runs that a request names, and what was left out.
  private func compared(
    _ request: Request, _ snapshot: FolderIndex.Snapshot, _ curves: (URL) async throws -> RunCurves
  ) async -> (runs: [ComparePage.Run], notes: [String]) {
    let ids = unique(request.uri.queryParameters[values: "run"].map(String.init))
    var notes: [String] = []
    var runs: [ComparePage.Run] = []
    let entries = ids.compactMap { snapshot.entry($0, .run) }
    if entries.count < ids.count { notes.append("Some of these runs are no longer there.") }
    if entries.count > ComparePage.limit {
      notes.append("The first \(ComparePage.limit) of \(entries.count) runs are shown: more no reader tells apart.")
    }
    for entry in entries.prefix(ComparePage.limit) {
      guard let row = snapshot.rows[entry.id] else { continue }
      do {
        runs.append(.init(entry: entry, row: row, curves: try await curves(entry.url)))
      } catch { notes.append("\(error)") }
    }
    return (runs, notes)
  }

  /// The steps that a zoomed page sees: `from` and `to` of its query.
  private static func steps(of request: Request) throws -> ClosedRange<Double> {
    func end(_ name: String) -> Double? {
      request.uri.queryParameters[Substring(name)].flatMap { Double(String($0)) }.flatMap { $0.isFinite ? $0 : nil }
    }
    guard let low = end("from"), let high = end("to"), low <= high else {
      throw Failure.unusable("The steps to show are from=STEP and to=STEP, the smaller one first.")
    }
    return low...high
  }

  private func run(_ id: String, _ rest: [String], _ request: Request) async throws -> Response {
    let snapshot = await index.snapshot()
    guard let entry = snapshot.entry(id, .run), let row = snapshot.rows[id] else { throw Failure.notFound }
    switch (rest.first, rest.count) {
    case (nil, _):
      var runPage = RunPage(entry: entry, row: row, figures: [])
      do {
        runPage = RunPage(
          entry: entry, row: row, figures: RunFigures.figures(of: try await curves.reading(of: entry.url).curves))
      } catch { runPage.problem = "\(error)" }
      return page(runPage.html(in: frame(snapshot)), hasFigures: true)
    case ("events", 1): return events(of: entry, request)
    case ("figures", 1):
      let seen = try await curves.curves(of: entry.url, within: try Self.steps(of: request))
      return .report(PageFrame.report(of: RunFigures.figures(of: seen)))
    case ("report", 1): return try report(of: entry)
    case ("file", 2...): return try file(Array(rest.dropFirst()), of: entry, request)
    default: throw Failure.notFound
    }
  }

  /// The full report, drawn anew where the run has changed.
  private func report(of entry: FolderIndex.Entry) throws -> Response {
    let names = RunRow.files + ["contributions.csv", "coherence-intervals.csv", "measures.csv", "examples.csv"]
    let page = try reports.value(of: names.map { entry.url.appendingPathComponent($0) }) {
      Array(try Report(runs: [RunDirectory.open(at: entry.url.path)]).html(bundle: bundle).utf8)
    }
    return Response.bytes(page, type: "text/html; charset=utf-8", keeping: .checked, policy: .enclosed)
  }

  /// A file of a run or study.
  private func file(_ parts: [String], of entry: FolderIndex.Entry, _ request: Request) throws -> Response {
    guard let file = SafePath.file(parts, in: entry.url), let response = FileSending.response(file, to: request) else {
      throw Failure.notFound
    }
    return response
  }

  // MARK: - Studies

  private func study(_ id: String, _ rest: [String], _ request: Request) async throws -> Response {
    let snapshot = await index.snapshot()
    guard let entry = snapshot.entry(id, .study) else { throw Failure.notFound }
    switch (rest.first, rest.count) {
    case (nil, _): return page(StudyPages(snapshot: snapshot, cards: scoreCards).page(entry, in: frame(snapshot)))
    case ("file", 2...): return try file(Array(rest.dropFirst()), of: entry, request)
    default: throw Failure.notFound
    }
  }
}
