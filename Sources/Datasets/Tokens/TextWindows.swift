// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// What an example of a text is, and so what "the gradient of one example" means.
public enum ExampleMeaning: String, Sendable, Codable, CaseIterable {
  /// The byte that follows a window: a window starts at every byte, and its loss is that of the next byte alone.
  case token
  /// A window: windows do not overlap, and the loss of one is the mean over all its next bytes.
  case sequence
}

/// Text files as the data set `text` or `text:LENGTH`: windows of bytes, each with the byte that follows it as its class.
///
/// The last part of every file is held out to test on. Windows are put in a random order by the seed.
public enum TextWindows {
  /// Bytes of a window where no length is given.
  public static let usualLength = 64
  /// The lengths that windows can have.
  public static let lengths = 1...4096
  /// The bytes of all texts at most.
  static let greatestSize = 1 << 31

  /// The length of the windows of a name `text` or `text:LENGTH`; nil for any other name.
  ///
  /// - Throws: `DatasetError` when it is no number in `lengths`.
  static func length(in name: String) throws -> Int? {
    let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts[0] == "text" else { return nil }
    guard parts.count == 2 else { return usualLength }
    guard let length = Int(parts[1]), lengths.contains(length), parts[1] == String(length) else {
      throw DatasetError(
        "There is no data set called \"\(name)\": text has the length of its windows behind a colon.",
        remedy: "Write text, or text:LENGTH with a length from \(lengths.lowerBound) to \(lengths.upperBound), such as "
          + "text:64.")
    }
    return length
  }

  /// One name for each byte: printable characters as they are, others as 0x0a.
  public static let classNames: [String] = (0...255).map { byte in
    let isPlain = (0x21...0x7E).contains(byte) && ![0x22, 0x27, 0x2C].contains(byte)
    return isPlain
      ? String(UnicodeScalar(UInt8(truncatingIfNeeded: byte))) : "0x" + hexadecimal([UInt8(truncatingIfNeeded: byte)])
  }

  /// The windows of a split.
  ///
  /// - Parameters:
  ///   - path: a text file, or a folder of them.
  ///   - length: bytes of a window.
  ///   - split: those to train on or those held out.
  ///   - count: only so many windows; all when nil.
  ///   - options: the share of every file that is held out, a fifth by default and all on both sides for 0, the seed, and
  ///     what an example is.
  /// - Throws: `DatasetError` that names a file that is missing or too short, or when there are too many windows.
  public static func load(
    _ path: String, length: Int, split: Split, count: Int? = nil, options: DatasetOptions = DatasetOptions()
  ) throws -> Dataset {
    guard lengths.contains(length) else {
      throw DatasetError(
        "Windows of \(length) bytes were asked for; their length must be from 1 to \(lengths.upperBound).")
    }
    let name = length == usualLength ? "text" : "text:\(length)"
    let held = try HeldOutShare(options)
    try held.check(split, of: path)
    var (sums, texts): ([String: String], [Data]) = ([:], [])
    // Where windows start in all texts one after the other.
    var (starts, size): ([UInt32], Int) = ([], 0)
    for file in try files(at: path) {
      let bytes = try FileReading.bytes(of: file, limit: greatestSize)
      guard size + bytes.count <= greatestSize else {
        throw DatasetError(
          "\(path) has more than \(greatestSize >> 30) GiB of text with \(file).",
          remedy: "Take fewer or shorter files.")
      }
      sums[URL(fileURLWithPath: file).lastPathComponent] = hexadecimal(SHA256.hash(data: bytes))
      let part = try self.part(of: bytes.count, length, split, held, file)
      let step = options.example == .token ? 1 : length
      for start in stride(from: part.lowerBound, through: part.upperBound - length - 1, by: step) {
        starts.append(UInt32(truncatingIfNeeded: size + start))
      }
      texts.append(bytes)
      size += bytes.count
    }
    var generator = SeededGenerator(seed: options.testSeed, stream: .testExamples, index: split == .train ? 0 : 1)
    generator.shuffle(&starts)
    var dataset = try windows(starts, of: joined(texts, size), length, split, count, name)
    (dataset.vocabulary, dataset.testFraction) = (256, held.recorded)
    (dataset.predictsAll, dataset.sourceChecksums) = (options.example == .sequence, sums)
    return dataset
  }

  /// Where windows and the bytes behind them may lie in a file of so many bytes.
  private static func part(
    of size: Int, _ length: Int, _ split: Split, _ held: HeldOutShare, _ file: String
  ) throws -> Range<Int> {
    let part = held.range(of: split, count: size)
    guard part.count > length else {
      throw DatasetError(
        "\(file) has \(size) bytes, of which \(part.count) are to \(split == .train ? "train" : "test") on; a window of "
          + "\(length) bytes and the next one need \(length + 1).",
        remedy: "Give a longer text or shorter windows, such as text:\(max(1, min(length, size / 10))), or hold out "
          + "another share with --test-fraction.")
    }
    return part
  }

  private static func joined(_ texts: [Data], _ size: Int) throws -> ByteStorage {
    try ByteStorage(count: size) { buffer in
      var rest = buffer[...]
      for text in texts {
        UnsafeMutableRawBufferPointer(rebasing: rest).copyBytes(from: text)
        rest = rest.dropFirst(text.count)
      }
    }
  }

  private static func windows(
    _ starts: [UInt32], of text: ByteStorage, _ length: Int, _ split: Split, _ count: Int?, _ name: String
  ) throws -> Dataset {
    let number = count ?? starts.count
    guard number >= 1, number <= starts.count else {
      throw DatasetError(
        "\(number) examples were asked for, but \(name) (\(split.rawValue)) has \(starts.count).",
        remedy: "Ask for a number between 1 and \(starts.count).")
    }
    let chosen = Array(starts.prefix(number))
    let labels = text.withUnsafeBytes { bytes in chosen.map { Int(bytes[Int($0) + length]) } }
    return try Dataset(
      name: name, split: split, exampleShape: [length], classNames: classNames,
      storage: .windows(ByteWindows(text, starts: chosen, length: length)), labels: labels, sourceChecksums: [:])
  }

  /// The file itself, or the files of a folder in the order of their names; hidden ones and folders inside are left out.
  private static func files(at path: String) throws -> [String] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw DatasetError("\(path) does not exist.", remedy: "Give a text file or a folder of them with --data-dir.")
    }
    guard isFolder.boolValue else { return [path] }
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path)
    } catch { throw DatasetError("\(path) cannot be listed: \(FileReading.reason(error)).") }
    let files = names.filter { !$0.hasPrefix(".") }.sorted().map { path + "/" + $0 }.filter { file in
      var isInner: ObjCBool = false
      return FileManager.default.fileExists(atPath: file, isDirectory: &isInner) && !isInner.boolValue
    }
    guard !files.isEmpty else {
      throw DatasetError("The folder \(path) holds no files.", remedy: "Put text files into it, or give one file.")
    }
    return files
  }
}
