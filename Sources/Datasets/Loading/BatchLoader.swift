// SPDX-License-Identifier: Apache-2.0

import Tensors

/// A mini-batch to train on.
public struct LoadedBatch {
  /// The examples of the whole mini-batch, by their places in the data set.
  public let indices: [Int]
  /// The images of those that the loader loads, float32 [count, channels, height, width].
  public let images: Tensor
}

/// Loads the mini-batches of a sampler. Images from files are decoded ahead of time: the loader knows what a sampler
/// will ask for, because it keeps one of its own that runs ahead.
///
/// A batch depends on the sampler's state, the augmentation and the seed alone, never on how many threads decode.
public final class BatchLoader {
  private let dataset: Dataset
  private let indices: [Int]
  private let augmentation: Augmentation
  private let seed: UInt64
  private let part: @Sendable (_ batchCount: Int) -> Range<Int>
  private var stream: DecodeStream?
  // The state of the sampler that the stream's next batch belongs to.
  private var expected: BatchSampler?

  /// A loader of a part of a data set.
  ///
  /// - Parameters:
  ///   - dataset: the data set.
  ///   - indices: the places in the data set that the sampler's numbers stand for.
  ///   - augmentation: how images are changed at random.
  ///   - seed: the seed of these changes.
  ///   - part: which of a mini-batch's examples are loaded, where other processes load the rest; all by default.
  public init(
    _ dataset: Dataset, indices: [Int], augmentation: Augmentation = .none, seed: UInt64 = 0,
    part: @escaping @Sendable (_ batchCount: Int) -> Range<Int> = { 0..<$0 }
  ) {
    (self.dataset, self.indices, self.augmentation, self.seed) = (dataset, indices, augmentation, seed)
    self.part = part
  }

  /// The next batch of a sampler, which moves on. Any state of the sampler will do, but images are ready in advance
  /// only when it goes on from the batch before.
  ///
  /// - Throws: `DatasetError` that names a file that cannot be used; `TensorError` when the device fails.
  public func next(_ sampler: inout BatchSampler, device: Device = .cpu) throws -> LoadedBatch {
    guard case .files(let files) = dataset.storage else { return try gather(&sampler, device) }
    if stream == nil || expected != sampler {
      stream = DecodeStream(
        files, augmentation: augmentation, seed: seed,
        plan: SamplerPlan(sampler: sampler, indices: indices, isAugmented: augmentation != .none, part: part))
    }
    // Should this fail, the next call starts anew.
    expected = nil
    guard let batch = try stream?.next() else { throw DatasetError("There are no more batches of \(dataset.name).") }
    let chosen = sampler.next().map { indices[$0] }
    expected = sampler
    guard !chosen.isEmpty else { return try nothing(device) }
    return LoadedBatch(
      indices: chosen,
      images: try dataset.tensor(UnsafeRawBufferPointer(batch.bytes), device: device))
  }

  private func gather(_ sampler: inout BatchSampler, _ device: Device) throws -> LoadedBatch {
    let epoch = sampler.epoch
    let chosen = sampler.next().map { indices[$0] }
    guard !chosen.isEmpty else { return try nothing(device) }
    let own = Array(chosen[part(chosen.count)])
    guard augmentation != .none else {
      return LoadedBatch(indices: chosen, images: try dataset.imageTensor(at: own, device: device))
    }
    let bytes = try dataset.augmentedBytes(of: own, augmentation, seed: seed, epoch: epoch)
    return LoadedBatch(indices: chosen, images: try bytes.withUnsafeBytes { try dataset.tensor($0, device: device) })
  }

  /// The mini-batch that no example was drawn for.
  private func nothing(_ device: Device) throws -> LoadedBatch {
    LoadedBatch(indices: [], images: try Tensor.zeros([0] + dataset.exampleShape, device: device))
  }
}

/// What a sampler will ask for.
private struct SamplerPlan: DecodePlan {
  var sampler: BatchSampler
  let indices: [Int]
  let isAugmented: Bool
  let part: @Sendable (_ batchCount: Int) -> Range<Int>

  mutating func next() -> DecodeRequest? {
    let epoch = isAugmented ? sampler.epoch : nil
    let chosen = sampler.next()
    return DecodeRequest(indices: chosen.isEmpty ? [] : chosen[part(chosen.count)].map { indices[$0] }, epoch: epoch)
  }
}
