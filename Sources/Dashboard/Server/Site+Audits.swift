// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird
import Reports
import RunStore

/// An audit whose files were read: its page, its examples, and the decisions about them.
struct OpenAudit: Sendable {
  /// The page.
  let page: AuditPage
  /// The examples, as the page asks for them.
  let data: Data
  /// The decisions.
  let log: CorrectionLog
  /// What tells this audit from another one in the same folder.
  let version: String

  /// The files that this is made from; decisions are no part of it.
  static let files = ["audit.json", "suspects.csv", "thumbnails.json", "neighbours.json"]

  /// Reads an audit.
  ///
  /// - Parameter folder: the audit directory.
  /// - Throws: `RunStoreError` naming file, line and column of what is damaged.
  init(_ folder: URL) throws {
    let directory = try AuditDirectory.open(at: folder.path)
    page = try AuditPage(directory)
    data = try page.data()
    log = CorrectionLog(directory.corrections, for: try directory.labels())
    version = FolderIndex.id(Self.files.map { "\(String(describing: FileStamp(of: directory.file($0))))" }.joined())
  }
}

extension AuditDirectory {
  fileprivate func file(_ name: String) -> URL { url.appendingPathComponent(name, isDirectory: false) }
}

/// A decision as the page sends it.
private struct DecisionRequest: Decodable {
  let index: Int
  let decision: String
  let label: String?
  let previous: Int?
}

/// What a page is answered.
private enum DecisionReply {
  struct All: Encodable { let decisions: [String: Corrections.State] }
  struct Saved: Encodable { let revision: Int }
  struct Conflict: Encodable {
    let decision: LabelDecision
    let label: String
    let revision: Int
  }
  struct Problem: Encodable { let error: String }
}

extension Site {
  /// More than this no decision takes.
  private static let longestDecision = 64 << 10

  func auditList() async -> Response {
    let snapshot = await index.snapshot()
    return page(AuditList(snapshot: snapshot, open: openAudit).html(in: frame(snapshot)))
  }

  /// The answer to a request about an audit.
  ///
  /// - Parameters:
  ///   - id: the audit.
  ///   - rest: the parts of the address behind it.
  ///   - request: the request.
  func audit(_ id: String, _ rest: [String], _ request: Request) async throws -> Response {
    let snapshot = await index.snapshot()
    guard let entry = snapshot.entry(id, .audit) else { throw Failure.notFound }
    let base = "/audit/\(id)"
    switch (rest.first, rest.count, request.method) {
    case ("decisions", 1, .post): return try await decide(entry, request)
    case ("decisions", 1, _):
      return try answering {
        let states = try openAudit(entry).log.corrections().states
        return try .json(DecisionReply.All(decisions: Dictionary(uniqueKeysWithValues: states.map { ("\($0)", $1) })))
      }
    case (_, _, .post): throw Failure.unusable("Nothing is decided at this address.")
    case (nil, _, _):
      let audit = try openAudit(entry)
      let addresses = AuditPage.Addresses(
        data: "\(base)/data/\(audit.version)", thumbnails: "\(base)/pictures/\(audit.version)/",
        decisions: .init(url: "\(base)/decisions"))
      return page(frame(snapshot).audit(audit.page.title, body: try audit.page.body(at: addresses)))
    case ("data", 2, _):
      return Response.bytes(try openAudit(entry).data, type: "application/json", keeping: .checked)
    case ("pictures", 3, _):
      guard let file = SafePath.file(["thumbnails", rest[2]], in: entry.url), file.pathExtension == "png",
        let response = FileSending.response(file, to: request, keeping: .forever)
      else { throw Failure.notFound }
      return response
    default: throw Failure.notFound
    }
  }

  private func openAudit(_ entry: FolderIndex.Entry) throws -> OpenAudit {
    try audits.value(of: OpenAudit.files.map { entry.url.appendingPathComponent($0) }) { try OpenAudit(entry.url) }
  }

  /// Takes a decision: the answer comes when it is on the disk.
  private func decide(_ entry: FolderIndex.Entry, _ request: Request) async throws -> Response {
    guard let body = try? await request.body.collect(upTo: Self.longestDecision),
      let wanted = try? JSONDecoder().decode(DecisionRequest.self, from: Data(body.readableBytesView))
    else { return try problem("This is no decision: index, decision, label and previous are expected.", .badRequest) }
    guard let decision = LabelDecision(rawValue: wanted.decision) else {
      let known = LabelDecision.allCases.map(\.rawValue).joined(separator: ", ")
      return try problem("There is no decision \"\(wanted.decision)\": choose from \(known).", .badRequest)
    }
    return try answering {
      switch try openAudit(entry).log.append(
        index: wanted.index, decision: decision, label: wanted.label, previous: wanted.previous ?? 0)
      {
      case .saved(let revision): return try .json(DecisionReply.Saved(revision: revision))
      case .conflict(let state):
        return try .json(
          DecisionReply.Conflict(
            decision: state?.decision ?? .undo, label: state?.label ?? "", revision: state?.revision ?? 0),
          status: .conflict)
      case .refused(let error): return try problem(error.description, .badRequest)
      }
    }
  }

  /// What the page's script can show, also where a file is damaged or the disk is full.
  private func answering(_ make: () throws -> Response) throws -> Response {
    do {
      return try make()
    } catch let error as RunStoreError {
      return try problem(error.description, .internalServerError)
    }
  }

  private func problem(_ sentence: String, _ status: HTTPResponse.Status) throws -> Response {
    try Response.json(DecisionReply.Problem(error: sentence), status: status)
  }
}
