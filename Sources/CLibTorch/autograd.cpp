// SPDX-License-Identifier: Apache-2.0

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include "support.h"

using coherent::guarded;
using torch::autograd::variable_list;

void coherent::Sink::accept(const at::Tensor &gradient) {
  at::NoGradGuard no_grad;
  if (written) {
    destination.add_(gradient);
  } else {
    destination.copy_(gradient);
    written = true;
  }
}

bool ct_set_gradient_mode(bool enabled) {
  const bool before = at::GradMode::is_enabled();
  at::GradMode::set_enabled(enabled);
  return before;
}

ct_status *ct_gradients(ct_tensor **out, const ct_tensor *output, const ct_tensor *weights,
                        const ct_tensor *const *inputs, int64_t count, bool retain_graph, bool create_graph) {
  return guarded([&] {
    variable_list list, seeds;
    for (int64_t i = 0; i < count; ++i) list.push_back(inputs[i]->value);
    if (weights != nullptr) seeds.push_back(weights->value);
    auto results = torch::autograd::grad({output->value}, list, seeds, retain_graph || create_graph, create_graph,
                                         /*allow_unused=*/true);
    std::vector<std::unique_ptr<ct_tensor>> owned;
    for (auto &result : results) {
      owned.push_back(result.defined() ? std::make_unique<ct_tensor>(std::move(result)) : nullptr);
    }
    for (size_t i = 0; i < owned.size(); ++i) out[i] = owned[i].release();
  });
}

ct_status *ct_backward(const ct_tensor *output, const ct_tensor *weights) {
  return guarded([&] {
    variable_list seeds;
    if (weights != nullptr) seeds.push_back(weights->value);
    torch::autograd::backward({output->value}, seeds);
  });
}

ct_status *ct_sink_create(ct_gradient_sink **out, const ct_tensor *destination) {
  return guarded([&] {
    TORCH_CHECK_VALUE(destination->value.is_contiguous() && !destination->value.requires_grad(),
                      "a gradient sink must be contiguous and not part of a graph");
    *out = new ct_gradient_sink(destination->value);
  });
}
void ct_sink_free(ct_gradient_sink *sink) { delete sink; }
void ct_sink_arm(ct_gradient_sink *sink) { sink->state->written = false; }
bool ct_sink_is_written(const ct_gradient_sink *sink) { return sink->state->written; }

namespace {

// Identity whose gradient goes to a sink.
struct TapBackward : torch::autograd::Node {
  std::shared_ptr<coherent::Sink> sink;

  variable_list apply(variable_list &&gradients) override {
    if (gradients[0].defined()) sink->accept(gradients[0]);
    return {at::Tensor()};
  }
};

// Identity that keeps the gradient passing through.
struct TapOutputBackward : torch::autograd::Node {
  std::shared_ptr<coherent::FactorSlot> slot;

  variable_list apply(variable_list &&gradients) override {
    if (slot->visit && gradients[0].defined()) {
      slot->visit(slot->input, gradients[0].detach());
      slot->input.reset();
    } else {
      slot->delta = gradients[0].defined() ? gradients[0].detach() : at::Tensor();
    }
    return {gradients[0]};
  }
};

}  // namespace

ct_status *ct_slot_create(ct_factor_slot **out) {
  return guarded([&] { *out = new ct_factor_slot; });
}
void ct_slot_free(ct_factor_slot *slot) { delete slot; }

ct_status *ct_slot_factors(ct_tensor **input, ct_tensor **delta, const ct_factor_slot *slot) {
  return guarded([&] {
    if (!slot->state->delta.defined()) return;
    auto first = std::make_unique<ct_tensor>(slot->state->input);
    coherent::give(delta, slot->state->delta);
    *input = first.release();
  });
}

ct_status *ct_slot_visit(ct_factor_slot *slot, ct_slot_visitor visitor, void *context, void (*release)(void *)) {
  return guarded([&] {
    if (visitor == nullptr) {
      slot->state->visit = nullptr;
      return;
    }
    const std::shared_ptr<void> kept(context, [release](void *given) {
      if (release != nullptr) release(given);
    });
    slot->state->visit = [visitor, kept](const at::Tensor &input, const at::Tensor &delta) {
      auto first = std::make_unique<ct_tensor>(input), second = std::make_unique<ct_tensor>(delta);
      TORCH_CHECK(visitor(kept.get(), first.release(), second.release()), "the factors of a layer were refused");
    };
  });
}

ct_status *ct_tap_output(ct_tensor **out, const ct_tensor *output, const ct_tensor *input, ct_factor_slot *slot) {
  return coherent::producing(out, [&] {
    auto result = output->value.detach();
    slot->state->input = input->value.detach();
    if (at::GradMode::is_enabled()) {
      auto node = std::make_shared<TapOutputBackward>();
      node->slot = slot->state;
      node->set_next_edges(torch::autograd::collect_next_edges(output->value));
      torch::autograd::set_history(result, node);
    }
    return result;
  });
}

ct_status *ct_tap(ct_tensor **out, const ct_tensor *parameter, ct_gradient_sink *sink) {
  return coherent::producing(out, [&] {
    const at::Tensor &value = parameter->value;
    const auto &destination = sink->state->destination;
    TORCH_CHECK_VALUE(value.sizes() == destination.sizes(), "the sink's shape ", destination.sizes(),
                      " is not the parameter's, ", value.sizes());
    auto result = value.detach();
    if (torch::autograd::compute_requires_grad(value)) {
      auto node = std::make_shared<TapBackward>();
      node->sink = sink->state;
      node->set_next_edges(torch::autograd::collect_next_edges(value));
      torch::autograd::set_history(result, node);
    }
    return result;
  });
}
