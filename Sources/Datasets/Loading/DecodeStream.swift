// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Images to decode together.
struct DecodeRequest: Sendable {
  /// Which files.
  let indices: [Int]
  /// The epoch that random changes belong to; nil for none.
  var epoch: Int?
}

/// Says which images come next.
protocol DecodePlan: Sendable { mutating func next() -> DecodeRequest? }

/// Decoded images, one after the other.
final class DecodedBatch: @unchecked Sendable {
  let request: DecodeRequest
  // Written by the workers, each its own part, before the batch is handed out; only read after.
  let bytes: UnsafeMutableRawBufferPointer
  // Guarded by the lock of the stream.
  fileprivate var claimed = 0
  fileprivate var finished = 0
  fileprivate var failure: (position: Int, error: any Error)?

  fileprivate init(_ request: DecodeRequest, imageSize: Int) {
    self.request = request
    let size = (checkedProduct([request.indices.count, imageSize]) ?? 0)
    // A nil base is reported when the batch is used.
    bytes = UnsafeMutableRawBufferPointer(start: size > 0 ? malloc(size) : nil, count: size)
  }

  deinit { free(bytes.baseAddress) }

  // Once a file has failed no further one is begun; those before it are at work already, so that the first of the
  // batch to fail is always the one reported.
  fileprivate var hasWork: Bool { failure == nil && claimed < request.indices.count }
  fileprivate var isDone: Bool { finished == claimed && !hasWork }
}

/// Decodes batches on threads of its own, a bounded number of batches ahead, and hands them out in order. What comes
/// out does not depend on the number of threads.
final class DecodeStream {
  private let shared: Shared

  /// Starts the threads.
  init(_ files: ImageFiles, augmentation: Augmentation = .none, seed: UInt64 = 0, plan: any DecodePlan) {
    shared = Shared(files, augmentation: augmentation, seed: seed, plan: plan)
    shared.start()
  }

  /// Ends the threads and waits for them; each is at most one image away.
  deinit { shared.stop() }

  /// The next batch; nil after the last.
  ///
  /// - Throws: `DatasetError` that names the first file of the batch that cannot be used.
  func next() throws -> DecodedBatch? { try shared.next() }

  /// What the threads share. Everything that changes is guarded by `condition`; hence the unchecked conformance.
  private final class Shared: @unchecked Sendable {
    private let files: ImageFiles
    private let augmentation: Augmentation
    private let seed: UInt64
    private let condition = NSCondition()
    private var plan: any DecodePlan
    private var batches: [DecodedBatch] = []
    private var isPlanned = false
    private var isStopped = false
    private var running = 0

    init(_ files: ImageFiles, augmentation: Augmentation, seed: UInt64, plan: any DecodePlan) {
      (self.files, self.augmentation, self.seed, self.plan) = (files, augmentation, seed, plan)
    }

    func start() {
      condition.withLock { running = files.workers }
      for number in 1...files.workers {
        let thread = Thread { [self] in work() }
        thread.name = "decode \(number)"
        thread.start()
      }
    }

    func stop() {
      condition.withLock {
        isStopped = true
        condition.broadcast()
        while running > 0 { condition.wait() }
      }
    }

    func next() throws -> DecodedBatch? {
      let batch = condition.withLock { () -> DecodedBatch? in
        while true {
          if let first = batches.first {
            if first.isDone {
              batches.removeFirst()
              condition.broadcast()
              return first
            }
          } else if isPlanned {
            return nil
          }
          condition.wait()
        }
      }
      if let failure = batch?.failure { throw failure.error }
      return batch
    }

    // One thread: an image at a time, the oldest batch first.
    private func work() {
      let decoder = Result { try ImageDecoder() }
      condition.lock()
      while !isStopped {
        if let batch = batches.first(where: \.hasWork) {
          let position = batch.claimed
          batch.claimed += 1
          condition.unlock()
          let result = Result { try decode(position, of: batch, with: decoder.get()) }
          condition.lock()
          batch.finished += 1
          if case .failure(let error) = result, position < batch.failure?.position ?? .max {
            batch.failure = (position, error)
          }
          if batch.isDone { condition.broadcast() }
        } else if batches.count <= files.prefetch, !isPlanned {
          if let request = plan.next() {
            batches.append(DecodedBatch(request, imageSize: files.imageSize))
          } else {
            isPlanned = true
          }
          condition.broadcast()
        } else {
          condition.wait()
        }
      }
      running -= 1
      condition.broadcast()
      condition.unlock()
    }

    private func decode(_ position: Int, of batch: DecodedBatch, with decoder: ImageDecoder) throws {
      let index = batch.request.indices[position]
      guard batch.bytes.baseAddress != nil else {
        throw DatasetError(
          "Not enough memory for \(batch.request.indices.count) images.", remedy: "Choose a smaller --batch-size.")
      }
      let size = files.imageSize
      let target = batch.bytes.row(position, of: size)
      let generator = batch.request.epoch.map { Augmentation.generator(seed: seed, epoch: $0, index: index) }
      try files.decode(index, with: decoder, augmentation: augmentation, generator: generator, into: target)
    }
  }
}

/// Parts of a list of examples, in order.
struct ListPlan: DecodePlan {
  private let indices: [Int]
  private let size: Int
  private var position = 0

  init(_ indices: [Int], size: Int) {
    self.indices = indices
    self.size = max(1, size)
  }

  mutating func next() -> DecodeRequest? {
    guard position < indices.count else { return nil }
    let end = min(position + size, indices.count)
    defer { position = end }
    return DecodeRequest(indices: Array(indices[position..<end]))
  }
}
