// SPDX-License-Identifier: Apache-2.0
//
// A convolution of channels-last images whose weight gradient goes to its sink. libtorch's own node returns it in
// memory of its own, in the images' order, which costs a transposing copy for every layer.

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <array>

#include "../bounds.h"
#include "convolution_rows.h"

namespace coherent {
namespace {

using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

struct ConvolutionBackward : torch::autograd::Node {
  SavedVariable input, weight;
  std::array<int64_t, 6> geometry{};  // stride, padding, dilation
  int64_t groups = 1;
  std::shared_ptr<Sink> weight_sink, bias_sink;

  variable_list apply(variable_list &&gradients) override {
    variable_list result(bias_sink ? 3 : 2);
    if (!gradients[0].defined()) return result;
    TORCH_CHECK_VALUE(!at::GradMode::is_enabled(), "a convolution with sinks has no second derivative");
    const auto x = input.unpack(), w = weight.unpack();
    const auto g = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const bool own = suits_own_kernel(x, g);
    const bool wants_input = task_should_compute_output(0), wants_weight = task_should_compute_output(1);
    if (wants_input || (wants_weight && !own)) {
      auto [input_gradient, weight_gradient, unused] = at::convolution_backward(
          g, x, w, std::nullopt, pair(&geometry[0]), pair(&geometry[2]), pair(&geometry[4]), /*transposed=*/false, {0, 0}, groups,
          {wants_input, wants_weight && !own, false});
      result[0] = input_gradient;
      if (wants_weight && !own) weight_sink->accept(weight_gradient);
    }
    if (wants_weight && own) {
      const std::array<int64_t, 2> kernel{w.size(2), w.size(3)};
      const ConvolutionRows rows(x, g, kernel.data(), geometry.data(), groups);
      convolution_weight_gradient(weight_sink->destination.data_ptr<float>(), rows, weight_sink->written);
      weight_sink->written = true;
    }
    if (bias_sink && task_should_compute_output(2)) bias_sink->accept(g.sum({0, 2, 3}));
    return result;
  }

  void release_variables() override {
    input.reset_data();
    weight.reset_data();
  }

 private:
  // The kernel makes one pass over the weight for each example, which has to be small beside what an example costs:
  // from 8×8 positions on it is faster than libtorch's with the copy that one needs.
  bool suits_own_kernel(const at::Tensor &x, const at::Tensor &g) const {
    return groups == 1 && g.size(2) * g.size(3) >= 64 && x.numel() > 0;
  }
};

void check_sink(const Sink &sink, const at::Tensor &parameter, const char *name) {
  TORCH_CHECK_VALUE(sink.destination.sizes() == parameter.sizes() && is_plain(sink.destination),
                    "the sink of the ", name, ", ", sink.destination.sizes(), ", does not fit the ", name, ", ",
                    parameter.sizes());
}

}  // namespace
}  // namespace coherent

ct_status *ct_convolution_layer(ct_tensor **out, const ct_tensor *input, const ct_tensor *weight, const ct_tensor *bias,
                                const int64_t *geometry, int64_t groups, ct_gradient_sink *weight_sink,
                                ct_gradient_sink *bias_sink) {
  using namespace coherent;
  return producing(out, [&] {
    const at::Tensor &x = input->value, &w = weight->value;
    const auto b = optional(bias);
    TORCH_CHECK_VALUE(ct_suits_channels_last_kernels(input) && w.dim() == 4 && w.scalar_type() == at::kFloat,
                      "a layer with sinks takes float32 images, channels last, on the CPU, not ", x.sizes());
    check_window(w.sizes().data() + 2, geometry);
    TORCH_CHECK_VALUE((bias == nullptr) == (bias_sink == nullptr), "a bias and its sink come together");
    check_sink(*weight_sink->state, w, "weight");
    if (b) check_sink(*bias_sink->state, *b, "bias");
    const auto plain = plain_geometry(w.sizes().data() + 2, geometry);
    at::Tensor result;
    {
      at::AutoDispatchBelowAutograd below;
      result = at::conv2d(x, w, b, pair(&plain[0]), pair(&plain[2]), pair(&plain[4]), groups);
    }
    const bool tracked =
        b ? torch::autograd::compute_requires_grad(x, w, *b) : torch::autograd::compute_requires_grad(x, w);
    if (!tracked) return result;
    auto node = std::make_shared<ConvolutionBackward>();
    node->set_next_edges(b ? torch::autograd::collect_next_edges(x, w, *b) : torch::autograd::collect_next_edges(x, w));
    node->input = SavedVariable(x, false);
    node->weight = SavedVariable(w, false);
    node->geometry = plain;
    node->groups = groups;
    node->weight_sink = weight_sink->state;
    if (bias_sink != nullptr) node->bias_sink = bias_sink->state;
    torch::autograd::set_history(result, node);
    return result;
  });
}
