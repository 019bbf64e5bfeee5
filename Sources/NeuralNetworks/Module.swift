// SPDX-License-Identifier: Apache-2.0

import Tensors

/// A trainable tensor of a module.
///
/// Modules that share a parameter hold the same object. Inside a `ParameterStore` the value is a view of one flat
/// buffer, and the gradient is written to another by way of the gradientView.
public final class Parameter {
  /// The elements; a leaf that requires gradients. A `ParameterStore` replaces it: read it anew in every forward pass,
  /// with `ForwardContext.value(of:)`.
  public internal(set) var value: Tensor {
    get {
      wasRead = true
      return current
    }
    set { current = newValue }
  }
  private var current: Tensor
  /// Whether the value was read since somebody set this to false: a layer that computes without reading its parameter
  /// holds a tensor of its own, which no training reaches.
  package var wasRead = false
  /// Where the gradient is written, once the parameter belongs to a store.
  public internal(set) var gradientView: GradientView?

  /// Takes a tensor as a parameter.
  public init(_ value: Tensor) throws {
    current = try value.detach()
    try current.setRequiresGradient(true)
  }

  /// The extents of the value.
  public var shape: [Int] { current.shape }
  /// The number of elements.
  public var count: Int { current.count }
}

/// State of a module that is saved with it but not trained, such as running statistics.
public final class Buffer {
  /// The elements.
  public var value: Tensor
  /// Takes a tensor as a buffer.
  public init(_ value: Tensor) { self.value = value }
}

/// What a module is made of, by name.
public enum ModuleMember {
  /// A trainable tensor.
  case parameter(String, Parameter)
  /// Saved state.
  case buffer(String, Buffer)
  /// A module inside.
  case module(String, any Module)
}

/// A function with parameters: one step of a network.
///
/// A module names its members, and computes its output from one input. Everything else (collecting parameters, moving
/// them into flat buffers, saving them) follows from the names, which are torchvision's where torchvision has the
/// model.
public protocol Module: AnyObject {
  /// The parts, in the order in which their parameters lie in memory.
  var members: [ModuleMember] { get }

  /// The output for a batch, whose first dimension counts examples.
  ///
  /// - Throws: `TensorError` when the input does not fit.
  func forward(_ input: Tensor, in context: ForwardContext) throws -> Tensor
}

extension Module {
  /// All parameters with dotted names, each shared parameter once, under its first name.
  public var namedParameters: [(name: String, parameter: Parameter)] {
    var seen = Set<ObjectIdentifier>()
    var found: [(String, Parameter)] = []
    visit { name, member in
      if case .parameter(_, let parameter) = member, seen.insert(ObjectIdentifier(parameter)).inserted {
        found.append((name, parameter))
      }
    }
    return found
  }

  /// The further names of shared parameters, with the first one, under which `namedParameters` has them.
  public var sharedParameterNames: [(name: String, first: String)] {
    var firsts: [ObjectIdentifier: String] = [:]
    var found: [(String, String)] = []
    visit { name, member in
      guard case .parameter(_, let parameter) = member else { return }
      if let first = firsts[ObjectIdentifier(parameter)] {
        found.append((name, first))
      } else {
        firsts[ObjectIdentifier(parameter)] = name
      }
    }
    return found
  }

  /// All buffers with dotted names.
  public var namedBuffers: [(name: String, buffer: Buffer)] {
    var found: [(String, Buffer)] = []
    visit { name, member in if case .buffer(_, let buffer) = member { found.append((name, buffer)) } }
    return found
  }

  /// The module itself under the empty name and all modules inside it, with dotted names.
  public var namedModules: [(name: String, module: any Module)] {
    var found: [(String, any Module)] = [("", self)]
    visit { name, member in if case .module(_, let module) = member { found.append((name, module)) } }
    return found
  }

  /// The number of trainable elements.
  public var parameterCount: Int { namedParameters.reduce(0) { $0 + $1.parameter.count } }

  private func visit(prefix: String = "", _ body: (String, ModuleMember) -> Void) {
    for member in members {
      switch member {
      case .parameter(let name, _), .buffer(let name, _): body(prefix + name, member)
      case .module(let name, let module):
        body(prefix + name, member)
        module.visit(prefix: prefix + name + ".", body)
      }
    }
  }
}
