// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird

/// What an open page of a run hears while that goes on: server-sent events with its figures and numbers.
struct EventStream: Sendable {
  /// What is sent.
  struct Message: Sendable, Equatable {
    /// The numbers at the head of the page, as HTML.
    let facts: String
    /// What the page's script needs of the figures; nil where the logs cannot be read.
    let report: String?
    /// Whether the run has ended.
    let hasEnded: Bool

    /// The message as lines of an event stream.
    var text: String {
      // JSON holds no line ends, HTML may.
      let facts = self.facts.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\ndata: ")
      return "event: facts\ndata: \(facts)\n\n" + (report.map { "event: figures\ndata: \($0)\n\n" } ?? "")
        + (hasEnded ? "event: end\ndata: end\n\n" : "")
    }
  }

  /// How often the run's folder is looked at.
  static let interval = Duration.milliseconds(500)
  /// How many looks without news pass before something is sent all the same, so that a connection that broke is noticed.
  static let patience = 30

  /// Where the run stands now; nil when it has vanished.
  let look: @Sendable () async throws -> Message?

  /// Sends what is new until the run ends or vanishes, or the task is cancelled.
  ///
  /// - Parameter send: sends text to the browser.
  /// - Throws: what `send` and `look` throw.
  func run(_ send: (String) async throws -> Void) async throws {
    var last: Message?
    var silence = 0
    try await send("retry: 2000\n\n")
    while let message = try await look() {
      if message != last {
        try await send(message.text)
        (last, silence) = (message, 0)
      } else {
        silence += 1
        if silence.isMultiple(of: Self.patience) { try await send(": still here\n\n") }
      }
      if message.hasEnded { return }
      try await Task.sleep(for: Self.interval)
    }
    try await send("event: end\ndata: gone\n\n")
  }
}

extension Site {
  /// The events of a run. A browser that goes away cancels them, and with that releases all that they hold.
  ///
  /// - Parameters:
  ///   - entry: the run.
  ///   - request: the request.
  func events(of entry: FolderIndex.Entry, _ request: Request) -> Response {
    let stream = EventStream { try await message(of: entry) }
    let body = ResponseBody { writer in
      try await request.body.consumeWithCancellationOnInboundClose { _ in
        try await stream.run { try await writer.write(ByteBuffer(string: $0)) }
      }
      try await writer.finish(nil)
    }
    return Response(
      status: .ok, headers: Response.headers(type: "text/event-stream", keeping: .none, policy: .data), body: body)
  }

  private func message(of entry: FolderIndex.Entry) async throws -> EventStream.Message? {
    guard let row = await index.snapshot().rows[entry.id] else { return nil }
    // A line that cannot be read is said on the page when it is loaded; until then the last curves stay.
    let report = try? await curves.report(of: entry.url)
    return EventStream.Message(
      facts: RunPage(entry: entry, row: row, figures: []).facts, report: report, hasEnded: row.status != .running)
  }
}
