// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A file that belongs to a data set.
public struct DatasetFile: Sendable, Equatable, Codable {
  /// What a file holds.
  public enum Role: String, Sendable, Codable {
    /// Pictures.
    case images
    /// Their classes.
    case labels
    /// Pictures and classes together.
    case examples
  }

  /// The name it is published under, for example `train-images-idx3-ubyte.gz`.
  public let name: String
  /// Size in bytes as published.
  public let size: Int
  /// SHA-256 as published, lower-case hexadecimal; nil when none is.
  public let sha256: String?
  /// The split it belongs to.
  public let split: Split
  /// What it holds.
  public let role: Role

  /// Describes a file.
  public init(name: String, size: Int, sha256: String?, split: Split, role: Role) {
    (self.name, self.size, self.sha256) = (name, size, sha256)
    (self.split, self.role) = (split, role)
  }

  /// The names it may have in a folder, best first: as published, unpacked, and both with the dot that some copies have
  /// in place of the last hyphen but one (`train-images.idx3-ubyte`).
  public var accepted: [String] {
    if role == .examples { return [name] }
    let raw = name.hasSuffix(".gz") ? String(name.dropLast(3)) : name
    let dotted = raw.replacingOccurrences(of: "-idx", with: ".idx")
    return [raw + ".gz", raw, dotted + ".gz", dotted]
  }
}

/// The one file that a data set is published as, when its files are packed together.
public struct DatasetArchive: Sendable, Equatable, Codable {
  /// The name it is published under; a gzip-compressed tar file.
  public let name: String
  /// Size in bytes as published.
  public let size: Int
  /// MD5 as published, lower-case hexadecimal. It guards against damage; HTTPS guards against forgery.
  public let md5: String
  /// The folder inside it that holds the files.
  public let folder: String

  /// Describes an archive.
  public init(name: String, size: Int, md5: String, folder: String) {
    (self.name, self.size, self.md5, self.folder) = (name, size, md5, folder)
  }
}

/// A data set that this project knows by name.
public struct DatasetEntry: Sendable, Equatable, Codable {
  /// How a data set is stored.
  public enum Format: String, Sendable, Codable {
    /// Not at all: the program draws it.
    case builtIn = "built-in"
    /// IDX files.
    case idx
    /// CIFAR's binary files.
    case cifar
    /// A folder of pictures for each class.
    case folder
    /// Not at all: the program makes the tokens.
    case tokens
    /// A text file, or a folder of them.
    case text
  }

  /// The name on the command line.
  public let name: String
  /// One line about it.
  public let title: String
  /// Whom to cite.
  public let citation: String
  /// Channels, height, width.
  public let exampleShape: [Int]
  /// One name for each class.
  public let classNames: [String]
  /// Examples in each split, by the split's raw value.
  public let counts: [String: Int]
  /// The files it is made of; none when it is built in.
  public let files: [DatasetFile]
  /// Folders on the web that hold the files, tried in order.
  public let mirrors: [String]
  /// What the files are published in; nil when they are published one by one.
  public let archive: DatasetArchive?
  /// How it is stored.
  public let format: Format
  /// How pixels are normalised by default; nil for plain byte / 255.
  public let normalization: Normalization?

  /// Whether it is drawn by the program itself and needs no files.
  public var isBuiltIn: Bool { format == .builtIn || format == .tokens }
  /// Whether its examples are tokens rather than pictures.
  public var isOfTokens: Bool { format == .tokens || format == .text }
  /// Whether a share of its examples is held out to test on: it has no test examples of its own.
  public var holdsOut: Bool { format == .folder || isOfTokens }
  /// Bytes to download in all.
  public var downloadSize: Int { archive?.size ?? files.reduce(0) { $0 &+ $1.size } }

  /// Describes a data set.
  public init(
    name: String, title: String, citation: String, exampleShape: [Int], classNames: [String], counts: [String: Int],
    files: [DatasetFile], mirrors: [String], archive: DatasetArchive? = nil, normalization: Normalization? = nil,
    format: Format? = nil
  ) {
    (self.name, self.title, self.citation, self.exampleShape) = (name, title, citation, exampleShape)
    (self.classNames, self.counts, self.files) = (classNames, counts, files)
    (self.mirrors, self.archive, self.normalization) = (mirrors, archive, normalization)
    self.format = format ?? (files.isEmpty ? .builtIn : files[0].role == .examples ? .cifar : .idx)
  }
}

/// The data sets known by name: what `coherent data list` prints and `coherent data fetch` downloads.
public enum DatasetCatalog {
  /// Every known data set, the built-in one first.
  public static let all: [DatasetEntry] = [digits, mnist, fashionMNIST, cifar10, cifar100, folder]

  /// The data set with a name.
  ///
  /// - Throws: `DatasetError` that lists the known names.
  public static func entry(named name: String) throws -> DatasetEntry {
    if let classes = try SyntheticDigits.glyphCount(in: name) { return glyphs(classes) }
    if let modulus = try ModularAddition.modulus(in: name) { return try modular(modulus) }
    if let length = try TextWindows.length(in: name) { return text(name, length) }
    guard let found = all.first(where: { $0.name == name }) else {
      throw DatasetError(
        "There is no data set called \"\(name)\".",
        remedy: "Known data sets: \(all.map(\.name).joined(separator: ", ")), glyphs:K with K classes, modular:P "
          + "for sums modulo P, and text for text files.")
    }
    return found
  }

  static let digits = DatasetEntry(
    name: "digits", title: "Procedurally drawn handwritten-looking digits; built in, nothing to download",
    citation: "Part of this project", exampleShape: SyntheticDigits.exampleShape,
    classNames: SyntheticDigits.classNames,
    counts: ["train": SyntheticDigits.available(.train), "test": SyntheticDigits.available(.test)],
    files: [], mirrors: [])

  /// K invented characters.
  static func glyphs(_ classes: Int) -> DatasetEntry {
    DatasetEntry(
      name: "glyphs:\(classes)", title: "\(classes) invented characters, drawn as the digits are; built in",
      citation: "Part of this project", exampleShape: SyntheticDigits.exampleShape,
      classNames: (0..<classes).map { String($0) }, counts: digits.counts, files: [], mirrors: [])
  }

  /// Sums modulo P, of which a fifth is held out.
  static func modular(_ modulus: Int) throws -> DatasetEntry {
    let (held, count) = (try HeldOutShare(DatasetOptions()), modulus * modulus)
    return DatasetEntry(
      name: "modular:\(modulus)", title: "a + b modulo \(modulus) for every pair, as the tokens a, b and =; built in",
      citation: "Part of this project", exampleShape: [ModularAddition.length],
      classNames: (0..<modulus).map { String($0) },
      counts: [
        "train": held.range(of: .train, count: count).count, "test": held.range(of: .test, count: count).count,
      ], files: [], mirrors: [], format: .tokens)
  }

  /// Windows of so many bytes.
  static func text(_ name: String, _ length: Int) -> DatasetEntry {
    DatasetEntry(
      name: name, title: "Your own text files: windows of \(length) bytes, and the byte that follows", citation: "",
      exampleShape: [length], classNames: TextWindows.classNames, counts: [:], files: [], mirrors: [], format: .text)
  }

  static let mnist = DatasetEntry(
    name: "mnist", title: "MNIST handwritten digits",
    citation: "Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits, 1998",
    exampleShape: [1, 28, 28], classNames: SyntheticDigits.classNames, counts: ["train": 60_000, "test": 10_000],
    files: idxFiles(
      trainImages: (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
      trainLabels: (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
      testImages: (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
      testLabels: (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6")),
    mirrors: [
      "https://ossci-datasets.s3.amazonaws.com/mnist",
      "https://storage.googleapis.com/cvdf-datasets/mnist",
    ])

  static let fashionMNIST = DatasetEntry(
    name: "fashion-mnist", title: "Fashion-MNIST articles of clothing, in the format of MNIST",
    citation: "H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017",
    exampleShape: [1, 28, 28],
    classNames: [
      "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ],
    counts: ["train": 60_000, "test": 10_000],
    files: idxFiles(
      trainImages: (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
      trainLabels: (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
      testImages: (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
      testLabels: (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5")),
    mirrors: [
      "https://fashion-mnist.s3.eu-central-1.amazonaws.com",
      "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    ])

  static let folder = DatasetEntry(
    name: "folder",
    title: "Your own JPEG and PNG pictures: train/CLASS/... and val/CLASS/... (or test/CLASS/...), or CLASS/... alone",
    citation: "", exampleShape: [3, 224, 224], classNames: [], counts: [:], files: [], mirrors: [],
    normalization: .imageNet, format: .folder)

  private static func idxFiles(
    trainImages: (Int, String), trainLabels: (Int, String), testImages: (Int, String), testLabels: (Int, String)
  ) -> [DatasetFile] {
    func file(_ name: String, _ facts: (Int, String), _ split: Split, _ role: DatasetFile.Role) -> DatasetFile {
      DatasetFile(name: name, size: facts.0, sha256: facts.1, split: split, role: role)
    }
    return [
      file("train-images-idx3-ubyte.gz", trainImages, .train, .images),
      file("train-labels-idx1-ubyte.gz", trainLabels, .train, .labels),
      file("t10k-images-idx3-ubyte.gz", testImages, .test, .images),
      file("t10k-labels-idx1-ubyte.gz", testLabels, .test, .labels),
    ]
  }
}
