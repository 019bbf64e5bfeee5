// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The small pictures of Tests/Fixtures/images.json, which make_image_fixture.py prints.
public struct PictureFixtures: Decodable, Sendable {
  /// A picture and what Pillow and torchvision make of it; sums are the first 16 digits of SHA-256 over its planes.
  public struct Picture: Decodable, Sendable {
    /// What it is an example of.
    public let name: String
    /// Its width in pixels.
    public let width: Int
    /// Its height in pixels.
    public let height: Int
    /// The sum of its planes.
    public let decoded: String
    /// Their sum after `Resize(26)` and `CenterCrop(21)`.
    public let resized: String
    /// Their sum after `Resize(64)` and `CenterCrop(64)`.
    public let enlarged: String
    /// The first six values of the resized red plane.
    public let first: [UInt8]
    private let base64: String

    /// The file.
    public var data: Data { Data(base64Encoded: base64) ?? Data() }
  }

  /// A file that must be refused.
  public struct Unusable: Decodable, Sendable {
    /// What it is an example of.
    public let name: String
    private let base64: String

    /// The file.
    public var data: Data { Data(base64Encoded: base64) ?? Data() }
  }

  /// Pictures that can be read.
  public let pictures: [Picture]
  /// Files that must be refused.
  public let unusable: [Unusable]

  /// Reads the fixture.
  public static func load() throws -> PictureFixtures {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return try JSONDecoder().decode(
      PictureFixtures.self, from: Data(contentsOf: package.appendingPathComponent("Tests/Fixtures/images.json")))
  }

  /// The bytes of a picture or of an unusable file by its name.
  public func data(_ name: String) throws -> Data {
    if let found = pictures.first(where: { $0.name == name }) { return found.data }
    if let found = unusable.first(where: { $0.name == name }) { return found.data }
    throw CocoaError(.fileNoSuchFile)
  }

  /// Writes an image folder with the classes `cat` and `dog`: six pictures each to train on, two each to test on, with
  /// odd names.
  public func writeFolder(at root: String) throws {
    let names = [
      "train/cat/a.jpg": "baseline", "train/cat/b picture.JPG": "progressive", "train/cat/c.jpeg": "grey",
      "train/cat/d.png": "palette-png", "train/cat/more/e.jpg": "tall", "train/cat/Z": "full-chroma",
      "train/dog/1.png": "rgb-png", "train/dog/2.PNG": "alpha-png", "train/dog/3.png": "grey-alpha-png",
      "train/dog/4.png": "one-bit-png", "train/dog/5.jpg": "rotated-by-exif", "train/dog/é,\"6.png": "grey-16-bit-png",
      "val/cat/1.jpg": "baseline", "val/cat/2.jpg": "grey", "val/dog/1.png": "rgb-png", "val/dog/2.png": "tall",
      "train/.hidden": "gif", "train/cat/.DS_Store": "gif",
    ]
    for (path, name) in names { try Self.write(data(name), root + "/" + path) }
  }

  /// Writes a file and the folders that it is in.
  public static func write(_ data: Data, _ path: String) throws {
    let url = URL(fileURLWithPath: path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try data.write(to: url)
  }
}
