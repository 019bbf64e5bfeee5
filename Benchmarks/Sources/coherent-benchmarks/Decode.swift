// SPDX-License-Identifier: Apache-2.0

import Datasets
import Foundation
import Tensors

/// Milliseconds per image that an image folder's loader takes to hand out shuffled mini-batches of normalised floats,
/// nothing being kept in memory: one entry for each pass over the training images, `repeats` times each.
func decodeTimes(folder: String, workers: Int, batch: Int, repeats: Int, samples: Int) throws -> [Double] {
  var options = DatasetOptions()
  options.workers = workers
  options.maximumBytesInMemory = 0
  options.skipsBadImages = true
  let dataset = try DatasetLoader.load(name: "folder", split: .train, directory: folder, options: options)
  let indices = (0..<repeats).flatMap { _ in 0..<dataset.count }
  let loader = BatchLoader(dataset, indices: indices)
  var sampler = try BatchSampler(count: indices.count, batchSize: min(batch, indices.count), seed: 1)
  // The first pass warms up.
  return try (0...samples).map { _ in
    let start = DispatchTime.now().uptimeNanoseconds
    for _ in 0..<sampler.batchesPerEpoch { _ = try loader.next(&sampler) }
    return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e6 / Double(indices.count)
  }.suffix(samples)
}
