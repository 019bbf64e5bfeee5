// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing
import TestSupport

@testable import Datasets

private let realData: String? = {
  guard let root = ProcessInfo.processInfo.environment["COHERENT_TEST_DATA"] else { return nil }
  return FileManager.default.fileExists(atPath: root + "/mnist") ? root : nil
}()

/// Runs on the published files when COHERENT_TEST_DATA names a folder that holds them.
@Suite(.enabled(if: realData != nil, "COHERENT_TEST_DATA does not name a folder with mnist/"))
struct RealDataTests {
  @Test func publishedChecksums() throws {
    let folder = try #require(realData)
    let states = try DatasetFileStatus.check(DatasetCatalog.mnist, in: folder + "/mnist")
    #expect(states.allSatisfy { $0.state == .verified })
    for (file, state) in zip(DatasetCatalog.mnist.files, states) {
      #expect(try FileReading.regularFileSize(#require(state.path)) == file.size)
    }
  }

  @Test func mnist() throws {
    let folder = try #require(realData)
    let train = try DatasetLoader.load(name: "mnist", split: .train, directory: folder + "/mnist")
    let summary = try DatasetSummary(of: train)
    #expect(train.count == 60_000)
    #expect(summary.classCounts == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    // The mean and standard deviation everyone normalises MNIST with.
    #expect(abs(summary.mean - 0.1307) < 1e-4)
    #expect(abs(summary.standardDeviation - 0.3081) < 1e-4)
    let test = try DatasetLoader.load(name: "mnist", split: .test, directory: folder)
    #expect(test.count == 10_000)
    #expect(try DatasetSummary(of: test).classCounts == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    #expect(test.labels.prefix(5) == [7, 2, 1, 0, 4])
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: (realData ?? "") + "/cifar-10-batches-bin")))
  func cifar10() throws {
    let folder = try #require(realData)
    let test = try DatasetLoader.load(name: "cifar10", split: .test, directory: folder)
    #expect(test.labels.prefix(8) == [3, 8, 8, 0, 6, 6, 1, 6])
    #expect(try DatasetSummary(of: test).classCounts == Array(repeating: 1000, count: 10))
    let train = try DatasetLoader.load(name: "cifar10", split: .train, directory: folder)
    #expect(train.count == 50_000 && train.labels.prefix(5) == [6, 9, 9, 4, 1])
    #expect(try DatasetSummary(of: train).classCounts == Array(repeating: 5000, count: 10))
    // Without three of its batches.
    let part = try Scratch()
    for name in ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"] {
      try FileManager.default.createSymbolicLink(
        atPath: part.url.path + "/" + name, withDestinationPath: folder + "/cifar-10-batches-bin/" + name)
    }
    #expect(throws: DatasetError.self) {
      _ = try DatasetLoader.load(name: "cifar10", split: .train, directory: part.url.path)
    }
    var options = DatasetOptions()
    options.allowsMissingFiles = true
    let some = try DatasetLoader.load(name: "cifar10", split: .train, directory: part.url.path, options: options)
    #expect(some.count == 20_000 && some.labels == Array(train.labels.prefix(20_000)))
    // Close to 0 and 1, the means and deviations being those of all five batches.
    let values = try train.imageTensor(at: Array(0..<2000)).values(as: Float.self).map { Double($0) }
    let mean = values.reduce(0, +) / Double(values.count)
    #expect(abs(mean) < 0.05)
    #expect(abs(values.reduce(0) { $0 + $1 * $1 } / Double(values.count) - 1) < 0.1)
  }

  /// Every pixel of the folder as torchvision 0.26 with Pillow 13 gives it: the sums are of its Resize(256) and
  /// CenterCrop(224), planes of one picture after the other, followed by the labels.
  @Test(
    .enabled(if: FileManager.default.fileExists(atPath: (realData ?? "") + "/ants-bees")),
    arguments: [0, 512 << 20])
  func photographs(memory: Int) throws {
    let folder = try #require(realData) + "/ants-bees"
    expectError("train/ants/imageNotFound.gif cannot be used: it is a GIF", "--skip-bad") {
      _ = try DatasetLoader.load(name: "folder", split: .train, directory: folder)
    }
    var options = DatasetOptions()
    options.skipsBadImages = true
    options.maximumBytesInMemory = memory
    let train = try DatasetLoader.load(name: "folder", split: .train, directory: folder, options: options)
    #expect(train.count == 50 && train.skipped.count == 1)
    #expect(try train.contentChecksum() == "feea7198fee33c4e923dcf6737882a9a33414c9df035e980254baa901c580ed2")
    let test = try DatasetLoader.load(name: "folder", split: .test, directory: folder, options: options)
    #expect(try test.contentChecksum() == "77af72733f81e8f7800f879969c9c41d242dca993c8200238e323034f768e6d8")
  }

  @Test func namesAreNotMistaken() throws {
    let folder = try #require(realData)
    expectError("is a file of mnist, not of fashion-mnist") {
      _ = try DatasetLoader.load(name: "fashion-mnist", split: .test, directory: folder + "/mnist")
    }
  }
}
