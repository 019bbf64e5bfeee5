// SPDX-License-Identifier: Apache-2.0

import Tensors
import Testing

/// Expects `body` to throw a `TensorError` with these facts, and to leave no handle behind.
///
/// - Parameters:
///   - kind: its family.
///   - operation: the operation it names.
///   - operands: the summaries it names, in order; nil leaves them open.
///   - text: what its reason must contain.
public func expectTensorError(
  _ kind: TensorError.Kind, _ operation: String, operands: [String]? = nil, containing text: String = "",
  sourceLocation: SourceLocation = #_sourceLocation, from body: () throws -> some Any
) {
  withLeakCheck(sourceLocation: sourceLocation) {
    do {
      _ = try body()
      Issue.record("no error was thrown", sourceLocation: sourceLocation)
    } catch let error as TensorError {
      #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
      #expect(error.operation == operation, "\(error)", sourceLocation: sourceLocation)
      if let operands { #expect(error.operands == operands, sourceLocation: sourceLocation) }
      #expect(!error.reason.isEmpty, sourceLocation: sourceLocation)
      if !text.isEmpty { #expect(error.reason.contains(text), "\(error)", sourceLocation: sourceLocation) }
      #expect(error.description.hasPrefix(operation), sourceLocation: sourceLocation)
    } catch {
      Issue.record("another kind of error: \(error)", sourceLocation: sourceLocation)
    }
  }
}
