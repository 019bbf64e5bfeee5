// SPDX-License-Identifier: Apache-2.0

import Datasets
import NeuralNetworks
import RunStore
import Training

extension TrainingConfiguration {
  /// Height and width of the images: `imageSize` where it is given. Else, of a folder, the side that the model was made
  /// for (`ModelEntry.usualSide`: 32 for CIFAR's networks, 299 for Inception-V3), 224 where it was made for none; nil for
  /// other data sets, whose images stay as they are.
  public var resolvedImageSize: Int? {
    if let imageSize { return imageSize }
    guard (try? DatasetCatalog.entry(named: dataset).format) == .folder else { return nil }
    return (try? ModelSpecification(model))?.entry?.usualSide ?? Self.formerImageSize
  }

  /// What versions that did not write `image-size` took for every folder.
  private static let formerImageSize = 224

  /// Gives options that a file does not name the meaning that they had for the versions that did not write them.
  ///
  /// - Parameter yaml: the file's text, which this configuration was read from.
  public mutating func takeFormerDefaults(absentIn yaml: String) {
    if imageSize == nil, resolvedImageSize != nil { imageSize = Self.formerImageSize }
    func names(_ key: String) -> Bool { yaml.split(separator: "\n").contains { $0.hasPrefix(key + ":") } }
    if !names("eval-schedule") { evalSchedule = .dense }
    if !names("keep") { keep = "last" }
  }

  /// The configuration that a run directory holds, as the run meant it: where the size of a folder's images is not
  /// there, a version wrote it that took 224 for every model, and one that knew no schedules of evaluations was dense.
  ///
  /// - Throws: `RunStoreError` when there is none, `TrainingError` when it cannot be read.
  public init(of run: RunDirectory) throws {
    let text = try run.config()
    try self.init(yaml: text, source: run.url.appendingPathComponent("config.yaml").path)
    takeFormerDefaults(absentIn: text)
  }
}
