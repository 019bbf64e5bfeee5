// SPDX-License-Identifier: Apache-2.0

import Tensors

/// The size of a transformer for tokens as a word: "transformer:layers=2,width=128,heads=4".
public struct TransformerSpecification: Sendable, Equatable, CustomStringConvertible {
  /// The number of layers.
  public private(set) var layers = 2
  /// D, the numbers of a position.
  public private(set) var width = 128
  /// The heads of attention, a divisor of D.
  public private(set) var heads = 4
  /// The hidden numbers of the perceptron in each layer; 4·D by default.
  public var hidden: Int { chosenHidden ?? 4 * width }
  private var chosenHidden: Int?
  /// Whether the last layer's weight is the table of tokens.
  public private(set) var isTied = false
  /// The probability with which numbers are dropped in training.
  public private(set) var dropout = 0.0

  /// The word without settings.
  static let name = "transformer"
  /// What the word may say, for messages and help.
  public static let usage = "transformer:layers=2,width=128,heads=4"

  private static let ranges = [
    "layers": 1...1000, "width": 1...(1 << 16), "heads": 1...(1 << 12), "mlp": 1...(1 << 20),
  ]
  private static let keys = ["layers", "width", "heads", "mlp", "dropout", "tied"]

  /// Parses what stands behind the colon; nothing for the defaults.
  ///
  /// - Throws: `ModelError` that names the setting and what was expected.
  init(_ settings: Substring, of text: String) throws {
    func failure(_ what: String) -> ModelError { ModelError("model \"\(text)\": \(what)") }
    var seen: Set<Substring> = []
    for setting in settings.split(separator: ",", omittingEmptySubsequences: false) where text != Self.name {
      let parts = setting.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let (key, value) = (parts[0], parts.count > 1 ? String(parts[1]) : "")
      guard seen.insert(key).inserted else { throw failure("\(key) occurs twice; give it once") }
      switch key {
      case "tied":
        guard value == "yes" || value == "no" else { throw failure("tied must be yes or no, not \"\(value)\"") }
        isTied = value == "yes"
      case "dropout":
        guard let share = Double(value), share >= 0, share < 1 else {
          throw failure("dropout must be at least 0 and below 1, not \"\(value)\"")
        }
        dropout = share
      default:
        guard let range = Self.ranges[String(key)] else {
          let hint = nearest(to: String(key), in: Self.keys).map { "; did you mean \"\($0)\"? Or" } ?? ""
          throw failure(
            "there is no setting \"\(key)\"\(hint.isEmpty ? ";" : hint) write \(Self.usage), and mlp=512, dropout=0.1 "
              + "or tied=yes as you like")
        }
        guard let number = Int(value), range.contains(number) else {
          throw failure(
            "\(key) must be a whole number from \(range.lowerBound) to \(range.upperBound), not \"\(value)\"")
        }
        switch key {
        case "layers": layers = number
        case "width": width = number
        case "heads": heads = number
        default: chosenHidden = number
        }
      }
    }
    guard width.isMultiple(of: heads) else {
      let fitting = (1...heads).reversed().first { width.isMultiple(of: $0) } ?? 1
      throw failure("a width of \(width) does not divide into \(heads) heads; heads=\(fitting) would fit it")
    }
  }

  /// The word.
  public var description: String {
    Self.name + ":layers=\(layers),width=\(width),heads=\(heads)" + (chosenHidden.map { ",mlp=\($0)" } ?? "")
      + (dropout > 0 ? ",dropout=\(dropout)" : "") + (isTied ? ",tied=yes" : "")
  }

  /// The layers.
  var shape: EncoderShape {
    EncoderShape(layers: layers, width: width, heads: heads, hidden: hidden, isCausal: true, dropout: dropout)
  }

  /// The number of parameters, as a number that cannot overflow.
  func parameterCount(positions: Int, vocabulary: Int, classes: Int) -> Double {
    let own = Double(width) * (Double(positions) + Double(vocabulary)) + shape.parameterCount
    return isTied ? own : own + Double(classes) * Double(width + 1)
  }
}

/// A decoder-only transformer over tokens (Radford et al., Language Models are Unsupervised Multitask Learners, 2019):
/// a table of tokens, learned positions, layers with causal attention, a normalisation, and logits.
///
/// The logits are those of what follows the last token: [B, T] to [B, K]. A token that is `padding` is seen by no other,
/// and the last token is the last that is none. Where every token is predicted, the others' losses are the model's own:
/// Σₜ −ln softmax(zₜ)[xₜ₊₁] over t < T, which `ForwardContext.completed` adds to that of the output.
final class TokenTransformer: Module {
  /// As GPT-2 starts: σ = 0.02, biases 0.
  static let weights = InitialWeights(
    convolution: .normal(0.02), linear: .normal(0.02), drawsLinearBias: false, shrinksResiduals: true)

  private let embedding: Embedding
  private let encoder: Encoder
  private let head: Linear
  private let classes: Int
  private let vocabulary: Int
  private let padding: Int?
  private let predictsAll: Bool

  /// - Parameters:
  ///   - specification: how large it is.
  ///   - positions: T, the tokens of an example at most.
  ///   - vocabulary: the number of tokens.
  ///   - classes: K, the number of logits.
  ///   - padding: the token that fills up examples; nil where all have the same length.
  ///   - predictsAll: whether every token is predicted from those before it, rather than what follows the last alone.
  ///   - factory: makes the layers.
  /// - Throws: `ModelError` when the table of tokens is to be the last layer's and has too few, or tokens are to be
  ///   predicted that are no classes or may be padding.
  init(
    _ specification: TransformerSpecification, positions: Int, vocabulary: Int, classes: Int, padding: Int? = nil,
    predictsAll: Bool = false, factory: LayerFactory
  ) throws {
    guard !predictsAll || classes == vocabulary && padding == nil else {
      throw ModelError(
        "\(specification) cannot predict every token of \(vocabulary) by the logits of \(classes) classes; predict what "
          + "follows the last one (example: token)")
    }
    guard !specification.isTied || classes <= vocabulary else {
      throw ModelError(
        "\(specification): its table of \(vocabulary) tokens cannot make the logits of \(classes) classes; leave tied "
          + "out")
    }
    embedding = try Embedding(count: vocabulary, size: specification.width, generator: factory.generator)
    try embedding.weight.value.detach().multiply(by: 0.02)
    encoder = try Encoder(specification.shape, positionCount: positions, epsilon: 1e-5, factory: factory)
    head =
      try specification.isTied
      ? Linear(weight: embedding.weight) : factory.linear(specification.width, classes)
    (self.classes, self.vocabulary) = (classes, vocabulary)
    (self.padding, self.predictsAll) = (padding, predictsAll)
  }

  var members: [ModuleMember] {
    [.module("embedding", embedding), .module("encoder", encoder), .module("head", head)]
  }

  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor {
    guard input.rank == 2, input.size(1) >= 1 else {
      throw TensorError(
        kind: .invalid, operation: "transformer", operands: [input.summary],
        reason: "the input must be at least one token of every example, [examples, tokens]")
    }
    // Data sets hand out real numbers, which are whole here.
    let tokens = try input.to(.int64)
    let isReal = try padding.map { try tokens.equal(Tensor([$0], device: tokens.device)).logicalNot() }
    // Not on a GPU, which the host would wait for in every pass.
    if let isReal, tokens.count > 0, tokens.device == .cpu, try isReal.to(.int64).sum().item() == 0 {
      throw TensorError(
        kind: .invalid, operation: "transformer", operands: [tokens.summary],
        reason: "the batch has nothing but padding, the token \(padding ?? 0): leave out examples without tokens")
    }
    let vectors = try looked(up: tokens, in: context)
    let hidden = try encoder.forward(vectors, visible: isReal, in: context)
    context.observer?(encoder, vectors, hidden)
    if predictsAll { return try last(ofAll: head(hidden, in: context), tokens, in: context) }
    let logits = try head(last(of: hidden, isReal: isReal), in: context)
    return logits.size(-1) == classes ? logits : try logits.narrow(-1, from: 0, length: classes)
  }

  private func looked(up tokens: Tensor, in context: ForwardContext) throws -> Tensor {
    do {
      return try embedding(tokens, in: context)
    } catch let error as TensorError {
      guard tokens.count > 0 else { throw error }
      let flat = try tokens.reshape([-1])
      let (most, least) = try (flat.largest(0).item(), -flat.negated().largest(0).item())
      guard least < 0 || most >= Double(vocabulary) else { throw error }
      let worst = Int(exactly: least < 0 ? least : most) ?? .max
      throw TensorError(
        kind: .invalid, operation: "transformer", operands: [tokens.summary],
        reason:
          "there is a token \(worst), but the vocabulary is 0 to \(vocabulary - 1): make the model for a larger one")
    }
  }

  /// The logits [B, K] of what follows the last token, from those of all, [B, T, K]; the others' losses are the model's
  /// own.
  private func last(ofAll logits: Tensor, _ tokens: Tensor, in context: ForwardContext) throws -> Tensor {
    let (batch, count) = (logits.size(0), logits.size(1))
    if count > 1, batch > 0 {
      let before = try logits.narrow(1, from: 0, length: count - 1).reshape([batch * (count - 1), classes])
      let targets = try tokens.narrow(1, from: 1, length: count - 1).reshape([batch * (count - 1)])
      context.addLosses(
        try before.crossEntropy(targets: targets).reshape([batch, count - 1]).sum([1]), count: count - 1)
    } else {
      context.addLosses(try Tensor.zeros([batch], dtype: logits.dtype, device: logits.device), count: 0)
    }
    return try logits.select(1, count - 1)
  }

  /// The vectors [B, D] at the last tokens that are no padding; at the first where all are.
  private func last(of hidden: Tensor, isReal: Tensor?) throws -> Tensor {
    let (batch, count, width) = (hidden.size(0), hidden.size(1), hidden.size(2))
    guard let isReal else { return try hidden.select(1, count - 1) }
    let places = try Tensor.arange(0..<count, device: hidden.device).unsqueeze(0)
    let latest = try (isReal.to(.int64) * places).largest(1).reshape([batch, 1, 1]).expand([batch, 1, width])
    return try hidden.gather(1, latest).squeeze(1)
  }
}
