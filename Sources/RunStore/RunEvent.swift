// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Something that happened during a run: a line of `events.jsonl`.
public struct RunEvent: Codable, Sendable, Equatable {
  /// When it happened, to the millisecond.
  public var time: Date
  /// What happened, such as `started`, `resumed`, `checkpoint`, `diverged`, `interrupted`, `completed`.
  public var kind: String
  /// The optimizer step at which it happened.
  public var step: Int?
  /// A sentence for people.
  public var message: String?
  /// Numbers that belong to it, such as `loss`.
  public var values: [String: Double]

  /// An event from its fields.
  public init(
    time: Date = Date(), kind: String, step: Int? = nil, message: String? = nil, values: [String: Double] = [:]
  ) {
    (self.time, self.kind, self.step) = (time, kind, step)
    (self.message, self.values) = (message, values)
  }

  private enum CodingKeys: String, CodingKey { case time, kind, step, message, values }

  /// Decodes an event; `values` may be absent.
  ///
  /// - Throws: `DecodingError` when `time` or `kind` is missing or unreadable.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    time = try container.decode(Date.self, forKey: .time)
    kind = try container.decode(String.self, forKey: .kind)
    step = try container.decodeIfPresent(Int.self, forKey: .step)
    message = try container.decodeIfPresent(String.self, forKey: .message)
    values = try container.decodeIfPresent([String: Double].self, forKey: .values) ?? [:]
  }
}

/// How the run directory writes JSON: ISO 8601 times with milliseconds, sorted keys, and text for NaN and infinity.
enum RunJSON {
  private static let timeStyle = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

  static func encoder(pretty: Bool) -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting =
      pretty ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    encoder.dateEncodingStrategy = .custom { date, encoder in
      var container = encoder.singleValueContainer()
      try container.encode(timeStyle.format(date))
    }
    return encoder
  }

  static func decoder() -> JSONDecoder {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    decoder.dateDecodingStrategy = .custom { decoder in
      let container = try decoder.singleValueContainer()
      let text = try container.decode(String.self)
      if let date = try? timeStyle.parse(text) { return date }
      if let date = try? Date.ISO8601FormatStyle().parse(text) { return date }
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "\"\(text)\" is not a time such as 2026-01-31T12:00:00.000Z")
    }
    return decoder
  }

  static func decode<Value: Decodable>(_: Value.Type, from data: Data, at place: String) throws -> Value {
    do {
      return try decoder().decode(Value.self, from: data)
    } catch let error as DecodingError {
      throw RunStoreError(
        "\(place) cannot be read: \(sentence(for: error)).",
        remedy: "The file is damaged or comes from another version of the program; restore it or run again.")
    }
  }

  private static func sentence(for error: DecodingError) -> String {
    func path(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
      let keys = context.codingPath.map(\.stringValue) + (last.map { [$0.stringValue] } ?? [])
      return keys.isEmpty ? "the file" : keys.joined(separator: ".")
    }
    switch error {
    case .keyNotFound(let key, let context): return "\(path(context, key)) is missing"
    case .valueNotFound(_, let context): return "\(path(context)) has no value"
    case .typeMismatch(let type, let context): return "\(path(context)) is not a \(type)"
    case .dataCorrupted(let context): return "\(path(context)) is not valid (\(context.debugDescription))"
    @unknown default: return "\(error)"
    }
  }
}
