// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Datasets

/// Image folders without test pictures of their own.
@Suite struct HeldOutFolderTests {
  let folder: Scratch

  init() throws {
    folder = try Scratch()
    let picture = try PictureFixtures.load().data("grey")
    for (name, count) in [("ant", 10), ("bee", 5), ("wasp", 2)] {
      for number in 0..<count { try folder.write(picture, "all/train/\(name)/\(number).jpg") }
    }
  }

  func load(
    _ split: Split, _ path: String = "all", _ change: (inout DatasetOptions) -> Void = { _ in }
  ) throws -> Dataset {
    var options = DatasetOptions()
    options.imageSize = 8
    change(&options)
    return try DatasetLoader.load(name: "folder", split: split, directory: folder.path(path), options: options)
  }

  func files(_ data: Dataset) -> [String] { (0..<data.count).compactMap { data.file(at: $0) } }

  func counts(_ data: Dataset) -> [Int] { (0..<data.classCount).map { label in data.labels.count { $0 == label } } }

  @Test func aShareOfEveryClassIsHeldOut() throws {
    let (train, test) = (try load(.train), try load(.test))
    #expect(counts(train) == [8, 4, 1] && counts(test) == [2, 1, 1])
    #expect(train.testFraction == 0.2 && test.testFraction == 0.2)
    #expect(Set(files(train)).isDisjoint(with: files(test)) && Set(files(train) + files(test)).count == 17)
    // In the order of the names, whatever order they were drawn in.
    #expect(files(train) == files(train).sorted() && files(test).allSatisfy { $0.hasPrefix("train/") })
    #expect(
      train.notes == [
        "\(folder.path("all")) has no folder val or test, so 20 % of every class, 4 of 17 pictures drawn by the seed, are "
          + "held out to test on; choose another share with --test-fraction (test-fraction)"
      ])
    #expect(test.notes.isEmpty)
    #expect(train.sourceChecksums.keys.sorted() == ["train (paths and sizes)"])
    #expect(train.sourceChecksums.values.first != test.sourceChecksums.values.first)
  }

  @Test func sharesAndSeeds() throws {
    func test(_ fraction: Double, seed: UInt64 = 1) throws -> Dataset {
      try load(.test) { ($0.testFraction, $0.testSeed) = (fraction, seed) }
    }
    #expect(
      try counts(test(0.5)) == [5, 3, 1] && counts(test(0.999)) == [9, 4, 1] && counts(test(1e-9)) == [1, 1, 1])
    #expect(try files(test(0.5)) == files(test(0.5)) && files(test(0.5)) != files(test(0.5, seed: 2)))
    // The same pictures whether they are kept decoded or not.
    let lazy = try load(.test) { ($0.testFraction, $0.maximumBytesInMemory) = (0.5, 0) }
    #expect(try files(lazy) == files(test(0.5)) && lazy.images == nil)
    let note = try #require(try load(.train) { $0.testFraction = 0.125 }.notes.first)
    #expect(note.contains("so 12.5 % of every class, 3 of 17") && note.hasSuffix("are held out to test on"))
    // Nothing held out: both are whole, and it says so.
    let (all, same) = (try load(.train) { $0.testFraction = 0 }, try test(0))
    #expect(all.count == 17 && files(all) == files(same) && all.testFraction == nil)
    #expect(
      all.notes.isEmpty && same.notes == ["no picture is held out: test accuracies are those of training pictures"])
    for impossible in [1, -0.5, .nan] {
      expectError("test-fraction must be at least 0 and below 1") { _ = try test(impossible) }
    }
  }

  /// Class folders in train and in the data folder itself are one thing, but for the paths.
  @Test func classFoldersInTheFolderItself() throws {
    let (inside, itself) = (try load(.test), try load(.test, "all/train"))
    #expect(itself.classNames == ["ant", "bee", "wasp"] && itself.labels == inside.labels)
    #expect(files(itself).map { "train/" + $0 } == files(inside))
  }

  @Test func allOfItForASplitFile() throws {
    let whole = try load(.train) { $0.keepsFolderWhole = true }
    #expect(whole.count == 17 && whole.testFraction == nil && whole.notes.isEmpty)
    expectError("no folder val or test", "split file") { _ = try load(.test) { $0.keepsFolderWhole = true } }
  }

  @Test func aFolderWithTestPicturesIsAsEver() throws {
    try folder.write(try PictureFixtures.load().data("grey"), "all/val/ant/1.jpg")
    for name in ["bee", "wasp"] { try folder.write(try PictureFixtures.load().data("grey"), "all/val/\(name)/1.jpg") }
    let (train, test) = (try load(.train) { $0.testFraction = 0.5 }, try load(.test) { $0.testFraction = 0.5 })
    #expect(train.count == 17 && test.count == 3 && train.testFraction == nil && test.testFraction == nil)
    #expect(files(test) == ["val/ant/1.jpg", "val/bee/1.jpg", "val/wasp/1.jpg"])
  }

  @Test func onePictureIsTooFew() throws {
    try FileManager.default.removeItem(atPath: folder.path("all/train/wasp/0.jpg"))
    for split in Split.allCases {
      expectError("all/train/wasp has only one picture", "Put more pictures into it") { _ = try load(split) }
    }
    expectError("ants has only one picture") {
      try folder.write([1], "one/ants/a.jpg")
      _ = try load(.train, "one")
    }
  }

  /// Names that are meant as splits are not taken for classes.
  @Test func splitsOfOtherNames() throws {
    try folder.write([1], "a/training/ant/1.jpg")
    try folder.write([1], "a/validation/ant/1.jpg")
    expectError("a has a folder training, but no train folder", "move training away") { _ = try load(.train, "a") }
    try folder.write([1], "b/train/ant/1.jpg")
    try folder.write([1], "b/Valid/ant/1.jpg")
    expectError("b has a folder Valid beside train, but no val or test") { _ = try load(.train, "b") }
    try folder.write([1], "c/val/ant/1.jpg")
    expectError("c has no train folder", "one folder of images per class") { _ = try load(.train, "c") }
    try folder.write([1], "d/1.jpg")
    expectError("d has no class folders") { _ = try load(.train, "d") }
    // Pictures of trains, and of tests.
    let picture = try PictureFixtures.load().data("grey")
    for name in ["bus", "train"] {
      for number in 0..<2 { try folder.write(picture, "e/\(name)/\(number).jpg") }
    }
    #expect(try load(.train, "e").classNames == ["bus", "train"])
    try folder.write([1], "f/train/1.jpg")
    expectError("f/train has no class folders") { _ = try load(.train, "f") }
  }

  @Test func pathsFollowSubsets() throws {
    let train = try load(.train)
    #expect(try files(train.subset(first: 3)) == Array(files(train).prefix(3)))
    #expect(try files(train.subset(indices: [12, 0])) == [files(train)[12], files(train)[0]])
    #expect(try files(train.replacingLabels(Array(repeating: 2, count: 13))) == files(train))
    #expect(train.file(at: -1) == nil && train.file(at: 13) == nil)
    #expect(try smallDataset().file(at: 0) == nil)
  }
}
