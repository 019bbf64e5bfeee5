// SPDX-License-Identifier: Apache-2.0
//
// A linear layer with its activation as one graph node. The plan says which library computes each of the three
// products; with sinks the weight gradient is written where the optimizer reads it.

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include "../support.h"
#include "weight_gradient.h"

namespace coherent {
namespace {

using torch::autograd::variable_list;

// oneDNN through libtorch's dispatcher: out = activation(input·weightᵀ + bias) in fresh memory.
at::Tensor onednn_linear(const at::Tensor &input, const at::Tensor &weight, const std::optional<at::Tensor> &bias,
                         std::string_view activation) {
  using Signature = at::Tensor(const at::Tensor &, const at::Tensor &, const std::optional<at::Tensor> &,
                               std::string_view, c10::List<std::optional<at::Scalar>>,
                               std::optional<std::string_view>);
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
                                 .typed<Signature>();
  return handle.call(input, weight, bias, activation, c10::List<std::optional<at::Scalar>>(), "");
}

bool suits_kernels(const at::Tensor &t) { return is_plain(t) && t.numel() > 0; }

// δ at the pre-activation: zero where the ReLU was shut.
at::Tensor through_activation(const at::Tensor &gradient, const at::Tensor &output, ct_activation activation) {
  return activation == CT_RELU ? at::threshold_backward(gradient, output, 0) : gradient;
}

struct LinearBackward : torch::autograd::Node {
  torch::autograd::SavedVariable input, weight, output;
  bool has_bias = false;
  ct_activation activation = CT_IDENTITY;
  ct_linear_plan plan{};
  std::shared_ptr<Sink> weight_sink, bias_sink;
  std::shared_ptr<FactorSlot> slot;

  variable_list apply(variable_list &&gradients) override {
    variable_list result(has_bias ? 3 : 2);
    if (!gradients[0].defined()) return result;
    const auto x = input.unpack(), w = weight.unpack();
    auto delta = activation == CT_RELU ? through_activation(gradients[0], output.unpack(shared_from_this()), activation)
                                       : gradients[0];
    const int64_t out = w.size(0), in = w.size(1);
    // A second derivative goes through libtorch's own differentiable products.
    const bool differentiable = at::GradMode::is_enabled();
    const int64_t rows = c10::multiply_integers(x.sizes().slice(0, x.dim() - 1));
    delta = delta.reshape({rows, out}).contiguous();
    if (task_should_compute_output(0)) {
      const bool fast = !differentiable && plan.input_gradient == CT_PRODUCT_ONEDNN && suits_kernels(delta) &&
                        suits_kernels(w);
      result[0] = (fast ? onednn_linear(delta, w.t(), std::nullopt, "none") : delta.mm(w)).view(x.sizes());
    }
    if (slot) {
      auto shape = x.sizes().vec();
      shape.back() = out;
      slot->delta = delta.detach().view(shape);
    } else if (task_should_compute_output(1) || (has_bias && task_should_compute_output(2))) {
      parameter_gradients(result, delta, x.reshape({rows, in}).contiguous(), differentiable);
    }
    return result;
  }

  void parameter_gradients(variable_list &result, const at::Tensor &delta, const at::Tensor &x, bool differentiable) {
    const bool fast = !differentiable && suits_kernels(delta) && suits_kernels(x);
    const bool all_wanted = task_should_compute_output(1) && (!has_bias || task_should_compute_output(2));
    if (fast && all_wanted && plan.weight_gradient == CT_PRODUCT_TILED && weight_sink && (!has_bias || bias_sink) &&
        suits_kernels(weight_sink->destination)) {
      float *bias = has_bias ? bias_sink->destination.data_ptr<float>() : nullptr;
      // The two sinks of a layer are armed and written together; anything else takes the path below.
      if (!has_bias || bias_sink->written == weight_sink->written) {
        weight_gradient(weight_sink->destination.data_ptr<float>(), bias, coherent::read<float>(delta),
                        coherent::read<float>(x), x.size(0), delta.size(1), x.size(1), weight_sink->written);
        weight_sink->written = true;
        if (has_bias) bias_sink->written = true;
        return;
      }
    }
    if (task_should_compute_output(1)) {
      at::Tensor gradient;
      if (fast && plan.weight_gradient == CT_PRODUCT_TILED) {
        gradient = at::empty({delta.size(1), x.size(1)}, at::kFloat);
        weight_gradient(gradient.data_ptr<float>(), nullptr, coherent::read<float>(delta), coherent::read<float>(x),
                        x.size(0), delta.size(1), x.size(1), false);
      } else if (fast && plan.weight_gradient == CT_PRODUCT_ONEDNN) {
        gradient = onednn_linear(delta.t(), x.t(), std::nullopt, "none");
      } else if (weight_sink && !weight_sink->written && !differentiable) {
        at::mm_out(weight_sink->destination, delta.t(), x);
        weight_sink->written = true;
      } else {
        gradient = delta.t().mm(x);
      }
      if (gradient.defined()) deliver(result[1], gradient, weight_sink);
    }
    if (has_bias && task_should_compute_output(2)) deliver(result[2], delta.sum(0), bias_sink);
  }

  static void deliver(at::Tensor &slot, const at::Tensor &gradient, const std::shared_ptr<Sink> &sink) {
    if (sink) {
      sink->accept(gradient);
    } else {
      slot = gradient;
    }
  }

  void release_variables() override {
    input.reset_data();
    weight.reset_data();
    output.reset_data();
  }
};

// The kernels write into sinks unasked, so what does not fit must be refused here.
void check_sink(const ct_gradient_sink *sink, const at::Tensor &parameter, const char *name) {
  if (sink == nullptr) return;
  const at::Tensor &destination = sink->state->destination;
  TORCH_CHECK_VALUE(destination.sizes() == parameter.sizes() &&
                        destination.scalar_type() == parameter.scalar_type() &&
                        destination.device() == parameter.device(),
                    "the sink of the ", name, " is ", at::toString(destination.scalar_type()), " ",
                    destination.sizes(), ", the ", name, " ", at::toString(parameter.scalar_type()), " ",
                    parameter.sizes());
}

at::Tensor forward(const at::Tensor &input, const at::Tensor &weight, const std::optional<at::Tensor> &bias,
                   ct_activation activation, ct_linear_plan plan) {
  if (plan.forward == CT_PRODUCT_ONEDNN && suits_kernels(input) && suits_kernels(weight) &&
      (!bias || suits_kernels(*bias))) {
    return onednn_linear(input, weight, bias, activation == CT_RELU ? "relu" : "none");
  }
  auto result = at::linear(input, weight, bias);
  return activation == CT_RELU ? result.relu_() : result;
}

}  // namespace
}  // namespace coherent

ct_status *ct_linear(ct_tensor **out, const ct_tensor *input, const ct_tensor *weight, const ct_tensor *bias,
                     ct_activation activation, ct_linear_plan plan, ct_gradient_sink *weight_sink,
                     ct_gradient_sink *bias_sink, ct_factor_slot *slot) {
  using namespace coherent;
  return producing(out, [&] {
    const at::Tensor &x = input->value, &w = weight->value;
    const auto b = optional(bias);
    TORCH_CHECK_VALUE(w.dim() == 2 && x.dim() >= 1 && x.size(-1) == w.size(1), "a linear layer of weight ", w.sizes(),
                      " (outputs, inputs) cannot take an input of shape ", x.sizes());
    TORCH_CHECK_VALUE(!b || (b->dim() == 1 && b->size(0) == w.size(0)), "bias ", b ? b->sizes() : x.sizes(),
                      " does not fit weight ", w.sizes());
    TORCH_CHECK_VALUE(b || bias_sink == nullptr, "there is a sink for the bias, but no bias");
    check_sink(weight_sink, w, "weight");
    if (b) check_sink(bias_sink, *b, "bias");
    const bool tracked =
        b ? torch::autograd::compute_requires_grad(x, w, *b) : torch::autograd::compute_requires_grad(x, w);
    at::Tensor result;
    {
      at::AutoDispatchBelowAutograd below;
      result = forward(x, w, b, activation, plan);
    }
    if (!tracked) return result;
    auto node = std::make_shared<LinearBackward>();
    node->set_next_edges(b ? torch::autograd::collect_next_edges(x, w, *b) : torch::autograd::collect_next_edges(x, w));
    node->input = torch::autograd::SavedVariable(x, false);
    node->weight = torch::autograd::SavedVariable(w, false);
    node->has_bias = b.has_value();
    node->activation = activation;
    node->plan = plan;
    if (weight_sink != nullptr) node->weight_sink = weight_sink->state;
    if (bias_sink != nullptr) node->bias_sink = bias_sink->state;
    if (slot != nullptr) {
      slot->state->input = x.detach();
      node->slot = slot->state;
    }
    torch::autograd::set_history(result, node);
    if (activation == CT_RELU) node->output = torch::autograd::SavedVariable(result, true);
    return result;
  });
}
