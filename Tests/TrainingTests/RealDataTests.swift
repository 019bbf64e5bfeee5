// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Runs
@testable import Training

private let realData: String? = {
  guard let root = ProcessInfo.processInfo.environment["COHERENT_TEST_DATA"] else { return nil }
  return FileManager.default.fileExists(atPath: root + "/mnist") ? root : nil
}()

@Suite(.enabled(if: realData != nil, "COHERENT_TEST_DATA does not name a folder with mnist/"))
struct RealTrainingTests {
  /// An epoch on MNIST with half of the labels permuted: real labels are nearly all learned, false ones hardly any.
  @Test func pristineIsFarAheadOnMNIST() throws {
    var configuration = TrainingConfiguration()
    configuration.dataDir = try #require(realData) + "/mnist"
    configuration.model = "mlp:256"
    configuration.noise = 0.5
    configuration.steps = 600
    configuration.evalEvery = 600
    let trainer = try Trainer.make(configuration)
    #expect(trainer.data.labels.realisedRate > 0.43 && trainer.data.labels.realisedRate < 0.47)
    #expect(try trainer.run() == .completed)
    let metrics = try trainer.evaluate()
    let pristine = try #require(metrics.first { $0.group == "pristine" }).accuracy1
    let corrupt = try #require(metrics.first { $0.group == "corrupt" }).accuracy1
    let test = try #require(metrics.last { $0.split == "test" }).accuracy1
    #expect(pristine > 0.8)
    #expect(corrupt < 0.2)
    #expect(test > 0.85)
  }
}
