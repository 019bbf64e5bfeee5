// SPDX-License-Identifier: Apache-2.0

import CYaml
import Training
import Yams

/// YAML as configurations need it: mappings, lists and words. What lets a few bytes stand for gigabytes, or for a program,
/// is refused while the text is parsed, before anything is built of it: anchors, aliases, merges, tags, keys that are no
/// words, and deep nesting.
package enum StrictYAML {
  /// Far above every configuration.
  private static let greatestSize = 1 << 20
  private static let greatestDepth = 16

  /// Parses a text.
  ///
  /// - Parameters:
  ///   - text: the text.
  ///   - source: the file's name, for messages.
  /// - Returns: the root; nil of an empty text.
  /// - Throws: `TrainingError` that names the file and, where there is one, the line.
  package static func compose(_ text: String, source: String) throws -> Node? {
    guard text.utf8.count <= greatestSize else {
      throw failure(source, nil, "is longer than a configuration can be, 1 MiB; check that it is the right file")
    }
    try check(text, source: source)
    // The library's own choice of an encoding reads the whole environment at every call.
    do {
      return try Yams.compose(yaml: text, .default, .default, .utf8)
    } catch {
      throw failure(source, nil, "is not valid YAML: \("\(error)".prefix(300))")
    }
  }

  private static func failure(_ source: String, _ line: Int?, _ what: String) -> TrainingError {
    TrainingError(.configuration, source + (line.map { ", line \($0): " } ?? " ") + what)
  }

  // MARK: - Events

  /// Walks the events of the parser, which builds nothing.
  private static func check(_ text: String, source: String) throws {
    var parser = yaml_parser_t()
    guard yaml_parser_initialize(&parser) != 0 else { throw failure(source, nil, "does not fit into memory") }
    defer { yaml_parser_delete(&parser) }
    let bytes = Array(text.utf8)
    try bytes.withUnsafeBufferPointer { bytes in
      yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
      yaml_parser_set_input_string(&parser, bytes.baseAddress, bytes.count)
      var shape = Shape()
      while true {
        var event = yaml_event_t()
        guard yaml_parser_parse(&parser, &event) != 0 else { throw invalid(parser, source) }
        defer { yaml_event_delete(&event) }
        if event.type == YAML_STREAM_END_EVENT || event.type == YAML_NO_EVENT { return }
        if let fault = shape.fault(of: event) { throw failure(source, Int(event.start_mark.line) + 1, fault) }
      }
    }
  }

  private static func invalid(_ parser: yaml_parser_t, _ source: String) -> TrainingError {
    let problem = parser.problem.map { String(cString: $0) } ?? "it cannot be read"
    // The parser's own limit, which it meets while it looks ahead.
    if problem.contains("nesting level") { return failure(source, Int(parser.problem_mark.line) + 1, Shape.tooDeep) }
    return failure(source, nil, "is not valid YAML: line \(Int(parser.problem_mark.line) + 1): \(problem)")
  }

  /// The collections that an event stands in.
  private struct Shape {
    /// Of every open collection: whether it is a mapping that expects a key; nil for a list.
    private var open: [Bool?] = []

    /// What is wrong with the next event; nil if nothing is.
    mutating func fault(of event: yaml_event_t) -> String? {
      switch event.type {
      case YAML_ALIAS_EVENT: return "aliases (*name) are not supported; write the value out"
      case YAML_SCALAR_EVENT:
        let scalar = event.data.scalar
        if scalar.anchor != nil { return Self.anchors }
        if scalar.tag != nil { return Self.tags }
        // A key in front of which nothing says that it is a word.
        let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE && scalar.length == 2
        if open.last == .some(true), isPlain, let value = scalar.value, value[0] == 0x3C, value[1] == 0x3C {
          return "merges (<<) are not supported; write the options out"
        }
        turn()
      case YAML_SEQUENCE_START_EVENT:
        guard event.data.sequence_start.anchor == nil else { return Self.anchors }
        return event.data.sequence_start.tag == nil ? begin(isMapping: false) : Self.tags
      case YAML_MAPPING_START_EVENT:
        guard event.data.mapping_start.anchor == nil else { return Self.anchors }
        return event.data.mapping_start.tag == nil ? begin(isMapping: true) : Self.tags
      case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
        open.removeLast()
        turn()
      default: break
      }
      return nil
    }

    private static let tags = "tags (!name) are not supported; write the plain value"
    private static let anchors = "anchors (&name) are not supported; write the value out wherever it is needed"

    static let tooDeep = "values are nested more than \(greatestDepth) deep"

    private mutating func begin(isMapping: Bool) -> String? {
      if open.last == .some(true) { return "a key must be a word, not a list or a map" }
      if open.count >= greatestDepth { return Self.tooDeep }
      open.append(isMapping ? true : nil)
      return nil
    }

    /// After a key comes a value, and then a key again.
    private mutating func turn() {
      if let last = open.last, let expectsKey = last { open[open.count - 1] = !expectsKey }
    }
  }
}

/// A number that YAML spells in one way: in decimal, neither in base 60 nor with letters.
protocol YAMLNumber {
  init?(yaml: String)
}

extension Int: YAMLNumber {
  init?(yaml: String) { self.init(yaml) }
}

extension UInt64: YAMLNumber {
  init?(yaml: String) { self.init(yaml) }
}

extension Double: YAMLNumber {
  init?(yaml: String) {
    guard yaml.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }) else { return nil }
    self.init(yaml)
  }
}

extension Node {
  /// The value of a node, numbers read strictly.
  ///
  /// - Throws: an error of whatever kind when it is of another type.
  func value<Value: Decodable>(as _: Value.Type = Value.self) throws -> Value {
    guard let type = Value.self as? any YAMLNumber.Type else {
      return try YAMLDecoder(encoding: .utf8).decode(Value.self, from: self)
    }
    guard let scalar, ![.singleQuoted, .doubleQuoted].contains(scalar.style),
      let number = type.init(yaml: scalar.string) as? Value
    else {
      throw TrainingError(.configuration, "not a number")
    }
    return number
  }
}
