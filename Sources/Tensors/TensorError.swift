// SPDX-License-Identifier: Apache-2.0

import CLibTorch

/// What went wrong in a tensor operation: which operation, on which shapes and element types, and why.
public struct TensorError: Error, CustomStringConvertible, Sendable {
  /// The family an error belongs to.
  public enum Kind: Sendable, Equatable {
    /// Shapes, sizes or values that do not fit the operation.
    case invalid
    /// An index outside its range.
    case index
    /// Element types that do not fit the operation.
    case type
    /// The operation does not exist for these operands.
    case notImplemented
    /// Memory ran out.
    case outOfMemory
    /// A numerical routine failed.
    case numerical
    /// Anything else, from inside libtorch.
    case `internal`
  }

  /// The family of the error.
  public let kind: Kind
  /// The operation, by its Swift name.
  public let operation: String
  /// The operands as "float32 [100, 784]", in order.
  public let operands: [String]
  /// The reason, in a sentence.
  public let reason: String

  /// An error raised on the Swift side of the border.
  public init(kind: Kind, operation: String, operands: [String] = [], reason: String) {
    (self.kind, self.operation, self.operands, self.reason) = (kind, operation, operands, reason)
  }

  /// The error as one sentence.
  public var description: String {
    let on = operands.isEmpty ? "" : " on " + operands.joined(separator: " and ")
    return "\(operation)\(on): \(reason)"
  }
}

extension TensorError.Kind {
  init(_ kind: ct_error_kind) {
    switch kind {
    case CT_ERROR_INVALID: self = .invalid
    case CT_ERROR_INDEX: self = .index
    case CT_ERROR_TYPE: self = .type
    case CT_ERROR_NOT_IMPLEMENTED: self = .notImplemented
    case CT_ERROR_OUT_OF_MEMORY: self = .outOfMemory
    case CT_ERROR_NUMERICAL: self = .numerical
    default: self = .internal
    }
  }
}

/// Throws what a status says; a nil status is success.
func check(_ status: OpaquePointer?, _ operation: String, _ operands: @autoclosure () -> [Tensor] = []) throws {
  guard let status else { return }
  defer { ct_status_free(status) }
  throw TensorError(
    kind: .init(ct_status_kind(status)), operation: operation, operands: operands().map(\.summary),
    reason: String(cString: ct_status_message(status)))
}
