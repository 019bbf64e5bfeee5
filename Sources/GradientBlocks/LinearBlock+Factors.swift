// SPDX-License-Identifier: Apache-2.0

import Tensors

/// T·(in + out) numbers an example, in place of in·out.
extension LinearBlock: FactoredBlock {
  /// aᵢ, then δᵢ.
  public func factors() throws -> Tensor {
    try Tensor.concatenate(
      [input.reshape([exampleCount, -1]), delta.reshape([exampleCount, -1])], dimension: 1)
  }

  /// The same layer's block of other examples.
  public func block(ofFactors factors: Tensor) throws -> any FactoredBlock {
    let (positions, inputs, outputs) = (input.size(1), input.size(2), delta.size(2))
    guard factors.rank == 2, factors.size(1) == positions * (inputs + outputs) else {
      throw TensorError(
        kind: .invalid, operation: "LinearBlock", operands: [factors.summary],
        reason: "factors of \(positions) positions, \(inputs) inputs and \(outputs) outputs are needed")
    }
    func part(_ start: Int, _ size: Int) throws -> Tensor {
      try factors.narrow(1, from: start, length: positions * size).contiguous()
        .reshape([factors.size(0), positions, size])
    }
    return LinearBlock(
      input: try part(0, inputs), delta: try part(positions * inputs, outputs), hasBias: hasBias,
      backend: backend)
  }

  /// Whole rows of the weight are a linear layer of fewer outputs, a part of one is a layer of fewer inputs with one
  /// output, and biases are the output gradients.
  public func block(ofColumns range: Range<Int>) throws -> any GradientBlock {
    let (inputs, outputs) = (input.size(2), delta.size(2))
    guard range.lowerBound >= 0, range.upperBound <= columnCount, !range.isEmpty else {
      throw TensorError(
        kind: .invalid, operation: "LinearBlock", operands: [input.summary, delta.summary],
        reason: "there are no columns \(range) among \(columnCount)")
    }
    var blocks: [any GradientBlock] = []
    func weight(_ rows: Range<Int>, _ columns: Range<Int>) throws {
      blocks.append(
        LinearBlock(
          input: try input.narrow(2, from: columns.lowerBound, length: columns.count).contiguous(),
          delta: try delta.narrow(2, from: rows.lowerBound, length: rows.count).contiguous(), hasBias: false,
          backend: backend))
    }
    let weights = range.clamped(to: 0..<inputs * outputs)
    var place = weights.lowerBound
    while place < weights.upperBound {
      let (row, column) = place.quotientAndRemainder(dividingBy: inputs)
      let whole = column == 0 ? (weights.upperBound - place) / inputs : 0
      if whole > 0 {
        try weight(row..<row + whole, 0..<inputs)
        place += whole * inputs
      } else {
        let end = min(inputs, column + weights.upperBound - place)
        try weight(row..<row + 1, column..<end)
        place += end - column
      }
    }
    if range.upperBound > inputs * outputs {
      let first = max(0, range.lowerBound - inputs * outputs)
      let count = range.upperBound - inputs * outputs - first
      blocks.append(RowsBlock(try delta.narrow(2, from: first, length: count).sum([1])))
    }
    return blocks.count == 1 ? blocks[0] : try SummedBlock(concatenating: blocks)
  }
}
