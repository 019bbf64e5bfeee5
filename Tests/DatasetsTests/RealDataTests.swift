// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

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
    let summary = DatasetSummary(of: train)
    #expect(train.count == 60_000)
    #expect(summary.classCounts == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    // The mean and standard deviation everyone normalises MNIST with.
    #expect(abs(summary.mean - 0.1307) < 1e-4)
    #expect(abs(summary.standardDeviation - 0.3081) < 1e-4)
    let test = try DatasetLoader.load(name: "mnist", split: .test, directory: folder)
    #expect(test.count == 10_000)
    #expect(DatasetSummary(of: test).classCounts == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    #expect(test.labels.prefix(5) == [7, 2, 1, 0, 4])
  }

  @Test func namesAreNotMistaken() throws {
    let folder = try #require(realData)
    expectError("is a file of mnist, not of fashion-mnist") {
      _ = try DatasetLoader.load(name: "fashion-mnist", split: .test, directory: folder + "/mnist")
    }
  }
}
