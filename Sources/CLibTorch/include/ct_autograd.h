// SPDX-License-Identifier: Apache-2.0
//
// Gradients: of a scalar with respect to tensors, or straight into buffers that parameters own.
#ifndef CT_AUTOGRAD_H
#define CT_AUTOGRAD_H

#include "ct_base.h"

CT_BEGIN

// Grad mode of this thread. Returns the mode before.
bool ct_set_gradient_mode(bool enabled);

// out[i] = ∂(Σ weightᵢ·outputᵢ)/∂input[i]; NULL where the output does not depend on the input. `weights` may be
// NULL for a scalar output.
CT_CALL ct_gradients(CT_OUT out, CT_IN output, CT_OPTIONAL weights,
                     const ct_tensor *CT_NONNULL const *CT_NULLABLE inputs, int64_t count, bool retain_graph, bool create_graph);

// Runs the backward pass of a scalar (or of `output` weighted by `weights`) for the sake of gradient sinks.
CT_CALL ct_backward(CT_IN output, CT_OPTIONAL weights);

// A gradient sink is the place where a parameter's gradient is to be written: a view of the flat gradient buffer,
// and whether it has been written since the last arming. The first write overwrites, later ones add, so that shared
// parameters work and nobody has to zero the buffer first.
CT_CALL ct_sink_create(ct_gradient_sink *CT_NULLABLE *CT_NONNULL out, CT_IN destination);
void ct_sink_free(ct_gradient_sink *CT_NULLABLE sink);
void ct_sink_arm(ct_gradient_sink *CT_NONNULL sink);
bool ct_sink_is_written(const ct_gradient_sink *CT_NONNULL sink);

// The parameter itself in the forward pass; its gradient goes to the sink in the backward pass.
CT_CALL ct_tap(CT_OUT out, CT_IN parameter, ct_gradient_sink *CT_NONNULL sink);

// A factor slot keeps, of one application of a layer, the input and (after the backward pass) the gradient at the
// output. The parameters themselves then receive no gradient: their block of the gradient matrix is made from the two.
CT_CALL ct_slot_create(ct_factor_slot *CT_NULLABLE *CT_NONNULL out);
void ct_slot_free(ct_factor_slot *CT_NULLABLE slot);
// NULL results when the backward pass has not come by.
CT_CALL ct_slot_factors(CT_OUT input, CT_OUT delta, const ct_factor_slot *CT_NONNULL slot);
// Hands input and output gradient (both now the visitor's) to the visitor during the backward pass, as soon as they are
// there, in place of keeping them; a visitor that returns false ends the pass. Without a visitor they are kept again. The
// context is released with the slot. For slots of ct_tap_output.
typedef bool (*ct_slot_visitor)(void *CT_NULLABLE context, ct_tensor *CT_NONNULL input, ct_tensor *CT_NONNULL delta);
CT_CALL ct_slot_visit(ct_factor_slot *CT_NONNULL slot, ct_slot_visitor CT_NULLABLE visitor, void *CT_NULLABLE context,
                      void (*CT_NULLABLE release)(void *CT_NULLABLE context));

// The output itself; its gradient is kept in the slot beside `input` and passed on. Works on outputs that depend on
// nothing that requires gradients, as those of a first layer.
CT_CALL ct_tap_output(CT_OUT out, CT_IN output, CT_IN input, ct_factor_slot *CT_NONNULL slot);

CT_END
#endif
