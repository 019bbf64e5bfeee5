// SPDX-License-Identifier: Apache-2.0

import Tensors

/// A model asked for by name cannot be made.
public struct ModelError: Error, CustomStringConvertible, Sendable {
  /// The reason and the remedy.
  public let description: String
  /// An error with a sentence for the user.
  public init(_ description: String) { self.description = description }
}

/// A model as a word on the command line: "mlp:2048", "mlp:256,256,256", "linear".
public struct ModelSpecification: Sendable, Equatable, CustomStringConvertible {
  /// Widths of the hidden layers of a multi-layer perceptron.
  public let hidden: [Int]

  /// The largest layer that is accepted; more is a slip of the keyboard.
  private static let widest = 1 << 20

  /// Parses the word.
  ///
  /// - Throws: `ModelError` that names what was expected.
  public init(_ text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    if text == "linear" {
      hidden = []
      return
    }
    guard parts[0] == "mlp" else {
      throw ModelError("there is no model \"\(text)\": known are mlp:WIDTH[,WIDTH...] (such as mlp:2048) and linear")
    }
    let widths = (parts.count > 1 ? parts[1] : "").split(separator: ",", omittingEmptySubsequences: false)
    hidden = try widths.map { word in
      guard let width = Int(word), width > 0, width <= Self.widest else {
        throw ModelError(
          "model \"\(text)\": \"\(word)\" is no layer width; write mlp:WIDTH[,WIDTH...] with widths from 1 to "
            + "\(Self.widest), such as mlp:256,256,256")
      }
      return width
    }
  }

  /// The word it was parsed from.
  public var description: String { hidden.isEmpty ? "linear" : "mlp:" + hidden.map(String.init).joined(separator: ",") }

  /// Builds the model: fully connected layers fc1, fc2, ... with ReLU between them.
  ///
  /// - Parameters:
  ///   - inputs: the number of values of one example.
  ///   - classes: the number of logits.
  ///   - initializer: how weights are drawn.
  ///   - generator: the source of the draws.
  public func build(inputs: Int, classes: Int, initializer: Initializer, generator: Generator) throws -> any Module {
    var steps: [(name: String, module: any Module)] = [("flatten", Flatten())]
    var width = inputs
    for (index, next) in (hidden + [classes]).enumerated() {
      let layer = try Linear(inputs: width, outputs: next, initializer: initializer, generator: generator)
      steps.append(("fc\(index + 1)", layer))
      if index < hidden.count { steps.append(("relu\(index + 1)", Activation(.relu))) }
      width = next
    }
    return Sequential(steps)
  }
}
