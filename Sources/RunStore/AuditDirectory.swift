// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The names of the files in an audit directory.
enum AuditFile {
  static let record = "audit.json"
  static let suspects = "suspects.csv"
  static let thumbnailIndex = "thumbnails.json"
  static let thumbnails = "thumbnails"
  static let neighbours = "neighbours.json"
  static let corrections = "corrections.csv"
  static let page = "audit.html"
  static let training = "training.yaml"
}

/// A folder with everything about one audit of labels, readable without the program that wrote it.
public struct AuditDirectory: Sendable, Hashable {
  /// The folder.
  public let url: URL

  /// Names the folder of an audit that is to be written.
  ///
  /// - Parameter path: the folder; it need not exist.
  public init(at path: String) { url = URL(fileURLWithPath: path).standardizedFileURL }

  /// Opens the folder of an existing audit.
  ///
  /// - Parameter path: the folder.
  /// - Returns: the audit, whose files are read when they are asked for.
  /// - Throws: `RunStoreError` when the folder does not exist, holds no audit, or one of another format.
  public static func open(at path: String) throws -> AuditDirectory {
    struct Header: Decodable { var format: Int }
    let audit = AuditDirectory(at: path)
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: audit.url.path, isDirectory: &isFolder) else {
      throw RunStoreError("There is no folder \(path).", remedy: "Check the path for a typing error.")
    }
    guard isFolder.boolValue else {
      throw RunStoreError("\(path) is a file, not a folder.", remedy: "Name the folder of an audit.")
    }
    let place = audit.file(AuditFile.record)
    guard FileManager.default.fileExists(atPath: place.path) else {
      throw RunStoreError(
        "\(path) is not an audit directory: it has no \(AuditFile.record).",
        remedy: "Name a folder that coherent audit has written to the end, or run coherent audit --out \(path).")
    }
    let header = try RunJSON.decode(Header.self, from: readFile(place), at: place.path)
    guard header.format == AuditRecord.format else {
      throw RunStoreError(
        "\(place.path) has format \(header.format), but this version reads format \(AuditRecord.format).",
        remedy: "Use the version of the program that wrote it, or audit again into another folder.")
    }
    return audit
  }

  /// The folder's name.
  public var name: String { url.lastPathComponent }

  /// The folder of the sheets of small pictures.
  public var sheets: URL { url.appendingPathComponent(AuditFile.thumbnails, isDirectory: true) }

  /// The place of the page.
  public var page: URL { file(AuditFile.page) }

  /// The place of the options that the training was asked for with; `coherent train --config` reads them.
  public var training: URL { file(AuditFile.training) }

  /// The place of the decisions.
  public var corrections: URL { file(AuditFile.corrections) }

  func file(_ name: String) -> URL { url.appendingPathComponent(name, isDirectory: false) }

  /// The place of a sheet of small pictures.
  ///
  /// - Parameter number: the sheet, from 0.
  public func sheet(_ number: Int) -> URL { sheets.appendingPathComponent(AuditThumbnails.sheetName(number)) }
}

// MARK: - Reading

extension AuditDirectory {
  /// Reads `audit.json`.
  ///
  /// - Throws: `RunStoreError` when it is missing or damaged, naming the key.
  public func record() throws -> AuditRecord {
    let place = file(AuditFile.record)
    let record = try RunJSON.decode(AuditRecord.self, from: readFile(place), at: place.path)
    try record.check(at: place.path)
    return record
  }

  /// Reads `suspects.csv`: every example, the most suspect first.
  ///
  /// - Parameter record: what `record()` gave.
  /// - Throws: `RunStoreError` when it is missing, naming file, line and column of a bad cell, or when it is not about
  ///   every example once.
  public func suspects(of record: AuditRecord) throws -> [SuspectRecord] {
    let place = file(AuditFile.suspects)
    return try SuspectTable.read(readFile(place), file: place.path, of: record)
  }

  /// Reads `thumbnails.json`; nil when there are no small pictures.
  ///
  /// - Parameter record: what `record()` gave.
  /// - Throws: `RunStoreError` when it is damaged, naming the key.
  public func thumbnails(of record: AuditRecord) throws -> AuditThumbnails? {
    let index = try optional(AuditThumbnails.self, AuditFile.thumbnailIndex)
    try index?.check(count: record.count, at: file(AuditFile.thumbnailIndex).path)
    return index
  }

  /// Reads a sheet of small pictures; nil when it is missing.
  ///
  /// - Parameter number: the sheet, from 0.
  /// - Throws: `RunStoreError` when it cannot be read.
  public func picture(_ number: Int) throws -> Data? {
    guard FileManager.default.fileExists(atPath: sheet(number).path) else { return nil }
    return try readFile(sheet(number))
  }

  /// Reads `neighbours.json`; nil when there is none.
  ///
  /// - Parameter record: what `record()` gave.
  /// - Throws: `RunStoreError` when it is damaged, naming the key.
  public func neighbours(of record: AuditRecord) throws -> AuditNeighbours? {
    let neighbours = try optional(AuditNeighbours.self, AuditFile.neighbours)
    let place = file(AuditFile.neighbours).path
    try neighbours?.check(count: record.count, classes: Set(record.classes), at: place)
    return neighbours
  }

  /// The labels that decisions are about.
  ///
  /// - Throws: `RunStoreError` when the audit cannot be read.
  public func labels() throws -> LabelledExamples {
    let record = try record()
    return LabelledExamples(try suspects(of: record), classes: record.classes)
  }

  private func optional<Value: Decodable>(_: Value.Type, _ name: String) throws -> Value? {
    guard FileManager.default.fileExists(atPath: file(name).path) else { return nil }
    return try RunJSON.decode(Value.self, from: readFile(file(name)), at: file(name).path)
  }
}

// MARK: - Writing

extension AuditDirectory {
  /// Writes an audit, each file all at once or not at all, `audit.json` last: a folder in which that was cut short is
  /// no audit. Decisions that are there stay.
  ///
  /// - Parameters:
  ///   - record: what was found.
  ///   - suspects: every example, the most suspect first.
  ///   - index: where the small pictures are, whose sheets are written with `write(sheet:number:)` before; nil
  ///     without pictures.
  ///   - neighbours: the neighbours of suspects; nil without any.
  /// - Throws: `RunStoreError` when these contradict each other, or cannot be written.
  public func write(
    _ record: AuditRecord, suspects: [SuspectRecord], thumbnails index: AuditThumbnails? = nil,
    neighbours: AuditNeighbours? = nil
  ) throws {
    try record.check(at: AuditFile.record)
    let table = try SuspectTable.text(suspects, of: record)
    try index?.check(count: record.count, at: AuditFile.thumbnailIndex)
    try neighbours?.check(count: record.count, classes: Set(record.classes), at: AuditFile.neighbours)
    try makeFolder(url)
    try remove(AuditFile.record)
    try writeAtomically(Data(table.utf8), to: file(AuditFile.suspects))
    try write(index, to: AuditFile.thumbnailIndex)
    try write(neighbours, to: AuditFile.neighbours)
    try write(record, to: AuditFile.record)
  }

  /// Writes a sheet of small pictures.
  ///
  /// - Parameters:
  ///   - png: the picture.
  ///   - number: the sheet, from 0.
  /// - Throws: `RunStoreError` when it cannot be written.
  public func write(sheet png: Data, number: Int) throws {
    try makeFolder(sheets)
    try writeAtomically(png, to: sheet(number))
  }

  private func write(_ value: (some Encodable)?, to name: String) throws {
    guard let value else { return try remove(name) }
    let isLarge = name != AuditFile.record
    try writeAtomically(RunJSON.encoder(pretty: !isLarge).encode(value) + Data("\n".utf8), to: file(name))
  }

  private func remove(_ name: String) throws {
    guard unlink(file(name).path) != 0, errno != ENOENT else { return }
    throw RunStoreError.system("replace", file(name).path, code: errno)
  }
}
