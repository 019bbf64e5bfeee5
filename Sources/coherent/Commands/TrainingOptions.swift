// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Runs

/// The options that make up a training configuration, in the sections of the help. Each is nil unless given, so that a
/// file can supply it.
struct TrainingOptions: ParsableArguments {
  @OptionGroup(title: Main.title) private var main: OptionSection<Main>
  @OptionGroup(title: Data.title) private var data: OptionSection<Data>
  @OptionGroup(title: Labels.title) private var labels: OptionSection<Labels>
  @OptionGroup(title: Model.title) private var model: OptionSection<Model>
  @OptionGroup(title: Optimization.title) private var optimization: OptionSection<Optimization>
  @OptionGroup(title: Measuring.title) private var measuring: OptionSection<Measuring>
  @OptionGroup(title: Records.title) private var records: OptionSection<Records>
  @OptionGroup(title: Machine.title) private var machine: OptionSection<Machine>

  enum Main: SectionName { static let section = TrainingOption.Section.main }
  enum Data: SectionName { static let section = TrainingOption.Section.data }
  enum Labels: SectionName { static let section = TrainingOption.Section.labels }
  enum Model: SectionName { static let section = TrainingOption.Section.model }
  enum Optimization: SectionName { static let section = TrainingOption.Section.optimization }
  enum Measuring: SectionName { static let section = TrainingOption.Section.measuring }
  enum Records: SectionName { static let section = TrainingOption.Section.records }
  enum Machine: SectionName { static let section = TrainingOption.Section.machine }

  private var given: [GivenOption] {
    main.given + data.given + labels.given + model.given + optimization.given + measuring.given + records.given
      + machine.given
  }

  /// Writes what was given over a configuration.
  func apply(to configuration: inout TrainingConfiguration) {
    // One of the two on the command line wins over either in the file; both on the command line is an error later.
    if length != nil { (configuration.steps, configuration.epochs) = (nil, nil) }
    for option in given { option.option.set(option.value, &configuration) }
  }

  /// Whether any option was given.
  var isAnySet: Bool { !given.isEmpty }

  /// Whether an option was given.
  func gives(_ key: String) -> Bool { given.contains { $0.option.key == key } }

  /// Whether any option was given beside the length of the run.
  var isMoreThanLengthSet: Bool { given.contains { !["steps", "epochs"].contains($0.option.key) } }

  /// How long the run is to be; nil unless given.
  var length: RunLength? {
    func value<Value>(_ key: String) -> Value? { given.first { $0.option.key == key }?.value as? Value }
    return value("steps").map(RunLength.steps) ?? value("epochs").map(RunLength.epochs)
  }
}

/// A section as a type, which the parser needs to tell groups apart.
protocol SectionName { static var section: TrainingOption.Section { get } }

extension SectionName { static var title: String { section.rawValue } }

/// An option of the table with the value that the command line gives it.
struct GivenOption {
  let option: TrainingOption
  let value: Any
}

/// The options of a section, made from their rows. The parser finds a type's arguments by reflection, so that is where
/// they are put.
struct OptionSection<Name: SectionName>: ParsableArguments, CustomReflectable {
  private(set) var given: [GivenOption] = []

  init() {}

  private static var options: [TrainingOption] { TrainingConfiguration.options.filter { $0.section == Name.section } }

  var customMirror: Mirror { Mirror(self, children: Self.options.map { ($0.key, $0.argument) }) }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: NameKey.self)
    given = try Self.options.compactMap { option in
      try option.value(in: values).map { GivenOption(option: option, value: $0) }
    }
  }
}

/// A key whose name is known only as the program runs.
struct NameKey: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }
  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}

extension TrainingOption {
  private var naming: NameSpecification { .customLong(name) }
  private var argumentHelp: ArgumentHelp { ArgumentHelp(help, valueName: valueName) }

  /// The argument as the parser takes it.
  fileprivate var argument: Any {
    if type == Bool.self { return Flag<Bool?>(name: naming, inversion: .prefixedNo, help: argumentHelp) }
    if type == [String].self { return Option<[String]>(wrappedValue: [], name: naming, help: argumentHelp) }
    if type == [String: String].self { return Option<[Tag]>(wrappedValue: [], name: naming, help: argumentHelp) }
    guard let parsed = type as? any ExpressibleByArgument.Type else { return () }
    // A number may begin with a minus.
    let isNumber = type == Int.self || type == Double.self || type == UInt64.self
    func option<Value: ExpressibleByArgument>(_: Value.Type) -> Any {
      Option<Value?>(name: naming, parsing: isNumber ? .unconditional : .next, help: argumentHelp)
    }
    return option(parsed)
  }

  /// What was given; nil for nothing.
  fileprivate func value(in values: KeyedDecodingContainer<NameKey>) throws -> Any? {
    let key = NameKey(stringValue: key)
    if type == Bool.self { return try values.decode(Flag<Bool?>.self, forKey: key).wrappedValue }
    if type == [String].self {
      let words = try values.decode(Option<[String]>.self, forKey: key).wrappedValue
      return words.isEmpty ? nil : words
    }
    if type == [String: String].self {
      let tags = try values.decode(Option<[Tag]>.self, forKey: key).wrappedValue
      return tags.isEmpty ? nil : Dictionary(tags.map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last })
    }
    guard let parsed = type as? any ExpressibleByArgument.Type else { return nil }
    func decoded<Value: ExpressibleByArgument>(_: Value.Type) throws -> Any? {
      try values.decode(Option<Value?>.self, forKey: key).wrappedValue
    }
    return try decoded(parsed)
  }
}

/// A key and its value, as KEY=VALUE.
struct Tag: ExpressibleByArgument {
  let key: String
  let value: String

  init?(argument: String) {
    let sides = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard sides.count == 2, !sides[0].isEmpty, !sides[1].isEmpty else { return nil }
    (key, value) = (sides[0], sides[1])
  }
}
