// SPDX-License-Identifier: Apache-2.0

#include "image_norm.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/functions/utils.h>


namespace coherent {

using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

std::vector<double> channel_moments(const Images &images, const float *x) {
  const int64_t channels = images.channels;
  std::vector<double> result(images.examples * 2 * channels, 0);
  parallel_for_each(images.examples, [&](int64_t b) {
    double *mean = result.data() + b * 2 * channels, count = 0;
    std::vector<float> part(2 * channels);
    images.over_tiles(b, [&](NormTile &tile, int64_t place) {
      tile.x = x + place;
      tile.first = part.data();
      tile.second = part.data() + channels;
      norm_kernels().moments(tile);
      join(count, mean, mean + channels, channels, double(tile.rows), tile.first, tile.second);
    });
  });
  return result;
}

variable_list NormBackward::apply(variable_list &&gradients) {
  variable_list result(has_residual ? 4 : 3);
  if (!gradients[0].defined()) return result;
  TORCH_CHECK_VALUE(!at::GradMode::is_enabled(), "a normalisation has no second derivative in channels-last "
                    "float32: use float64");
  const auto x = input.unpack();
  const auto y = relu && !shifts.defined() ? output.unpack(shared_from_this()) : at::Tensor();
  const auto g = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
  const bool is_constant = has_constant_statistics();
  const bool wants_input = task_should_compute_output(0);
  const bool wants_residual = has_residual && task_should_compute_output(3);
  // Behind a ReLU the residual's gradient is a tensor of its own, which then serves the second pass too.
  at::Tensor passed = relu && wants_residual ? at::empty_like(g) : at::Tensor();
  at::Tensor out = wants_input ? at::empty_like(x) : at::Tensor();
  const Images images(x);
  const auto sums = sum(images, x, g, y, passed, is_constant ? out : at::Tensor());
  if (wants_input && !is_constant) {
    differentiate(images, x, passed.defined() ? passed : g, passed.defined() ? at::Tensor() : y, out, sums);
  }
  result[0] = out;
  if (slot) slot->input = slot->delta = rows(images, sums);
  if (!slot && (task_should_compute_output(1) || task_should_compute_output(2))) {
    const auto both = rows(images, sums).sum(0);
    result[1] = both.narrow(0, 0, images.channels);
    result[2] = both.narrow(0, images.channels, images.channels);
  }
  if (wants_residual) result[3] = relu ? passed : g;
  return result;
}

// Per example and channel: sums of g and of g·(x − μ). [B, 2, C]
std::vector<double> NormBackward::sum(const Images &images, const at::Tensor &x, const at::Tensor &g, const at::Tensor &y,
                        const at::Tensor &passed, const at::Tensor &out) const {
  const int64_t channels = images.channels;
  std::vector<double> sums(images.examples * 2 * channels, 0);
  parallel_for_each(images.examples, [&](int64_t b) {
    const int64_t set = statistics.set_of(b) * channels;
    std::vector<float> part(2 * channels);
    double *own = sums.data() + b * 2 * channels;
    images.over_tiles(b, [&](NormTile &tile, int64_t place) {
      tile.x = read<float>(x) + place;
      tile.gradient = read<float>(g) + place;
      tile.y = y.defined() ? read<float>(y) + place : nullptr;
      tile.passed = passed.defined() ? static_cast<float *>(passed.mutable_data_ptr()) + place : nullptr;
      tile.out = out.defined() ? static_cast<float *>(out.mutable_data_ptr()) + place : nullptr;
      tile.mean = read<float>(statistics.mean) + set;
      tile.scale = read<float>(scales) + set;
      tile.shift = shifts.defined() ? read<float>(shifts) + set : nullptr;
      tile.first = part.data();
      tile.second = part.data() + channels;
      norm_kernels().sums(tile);
      for (int64_t c = 0; c < 2 * channels; ++c) own[c] += part[c];
    });
  });
  return sums;
}

void NormBackward::differentiate(const Images &images, const at::Tensor &x, const at::Tensor &g, const at::Tensor &y,
                                 const at::Tensor &out, const std::vector<double> &sums) const {
  const int64_t channels = images.channels, sets = statistics.ends.size();
  std::vector<float> offset(sets * channels), slope(sets * channels);
  by_way_of_statistics(images, sums, offset.data(), slope.data());
  parallel_for_each(images.examples, [&](int64_t b) {
    const int64_t set = statistics.set_of(b) * channels;
    images.over_tiles(b, [&](NormTile &tile, int64_t place) {
      tile.x = read<float>(x) + place;
      tile.gradient = read<float>(g) + place;
      tile.y = y.defined() ? read<float>(y) + place : nullptr;
      tile.out = static_cast<float *>(out.mutable_data_ptr()) + place;
      tile.mean = read<float>(statistics.mean) + set;
      tile.scale = read<float>(scales) + set;
      tile.shift = shifts.defined() ? read<float>(shifts) + set : nullptr;
      tile.offset = offset.data() + set;
      tile.slope = slope.data() + set;
      norm_kernels().differentiate(tile);
    });
  });
}

// Each example's gradients of γ and β, [B, 2·C].
at::Tensor NormBackward::rows(const Images &images, const std::vector<double> &sums) const {
  const int64_t channels = images.channels;
  auto result = at::empty({images.examples, 2 * channels}, at::kFloat);
  float *to = result.data_ptr<float>();
  const float *deviation = read<float>(statistics.deviation);
  for (int64_t b = 0; b < images.examples; ++b) {
    const double *own = sums.data() + b * 2 * channels;
    const float *d = deviation + statistics.set_of(b) * channels;
    for (int64_t c = 0; c < channels; ++c) {
      to[b * 2 * channels + c] = float(own[channels + c] * d[c]);
      to[b * 2 * channels + channels + c] = float(own[c]);
    }
  }
  return result;
}

void NormBackward::release_variables() {
  input.reset_data();
  output.reset_data();
}

namespace {

at::Tensor forward(const at::Tensor &x, const at::Tensor &scales, const at::Tensor &shifts, const at::Tensor &residual,
                   bool relu, const Statistics &statistics) {
  const Images images(x);
  const int64_t channels = images.channels;
  auto out = at::empty_like(x);
  float *to = static_cast<float *>(out.mutable_data_ptr());
  parallel_for_each(images.examples, [&](int64_t b) {
    const int64_t set = statistics.set_of(b) * channels;
    images.over_tiles(b, [&](NormTile &tile, int64_t place) {
      tile.x = read<float>(x) + place;
      tile.y = relu ? tile.x : nullptr;
      tile.residual = residual.defined() ? read<float>(residual) + place : nullptr;
      tile.out = to + place;
      tile.scale = read<float>(scales) + set;
      tile.shift = read<float>(shifts) + set;
      norm_kernels().apply(tile);
    });
  });
  return out;
}

}  // namespace

bool suits_channels_last_kernels(const at::Tensor &t) {
  return t.dim() == 4 && t.scalar_type() == at::kFloat && t.is_cpu() &&
         t.is_contiguous(at::MemoryFormat::ChannelsLast) && t.numel() > 0;
}

void check_channels(const at::Tensor &t, int64_t channels, const char *name) {
  TORCH_CHECK_VALUE(is_plain(t) && t.dim() == 1 && t.size(0) == channels,
                    "the ", name, " must be ", channels, " contiguous float32 numbers, not ", t.sizes());
}

NormCall::NormCall(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias, const ct_tensor *residual,
                   bool relu, ct_factor_slot *slot)
    : x(x), weight(weight), bias(bias), relu(relu), slot(slot != nullptr ? slot->state : nullptr) {
  TORCH_CHECK_VALUE(suits_channels_last_kernels(x), "the input must be float32 [B, C, H, W] on the CPU, channels last, not ",
                    x.sizes());
  check_channels(weight, x.size(1), "weight");
  check_channels(bias, x.size(1), "bias");
  if (residual == nullptr) return;
  const at::Tensor &rest = residual->value;
  TORCH_CHECK_VALUE(rest.sizes() == x.sizes() && rest.scalar_type() == at::kFloat, "a residual of shape ", rest.sizes(),
                    " does not fit an input of shape ", x.sizes());
  TORCH_CHECK_VALUE(rest.is_cpu(), "the residual is on ", rest.device(), ", the input on the CPU");
  this->residual = rest.contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor NormCall::result(std::shared_ptr<NormBackward> node, Statistics statistics) const {
  at::Tensor result, scales, shifts;
  {
    at::NoGradGuard no_grad;
    scales = weight.detach() * statistics.deviation;  // [sets, C]
    shifts = bias.detach() - (statistics.mean.to(at::kDouble) * scales).to(at::kFloat);
    result = forward(x, scales, shifts, residual, relu, statistics);
  }
  const bool is_tracked =
      torch::autograd::compute_requires_grad(x, weight, bias, residual) || (slot && at::GradMode::is_enabled());
  if (!is_tracked) return result;
  node->set_next_edges(residual.defined() ? torch::autograd::collect_next_edges(x, weight, bias, residual)
                                          : torch::autograd::collect_next_edges(x, weight, bias));
  node->input = SavedVariable(x, false);
  node->scales = scales;
  if (relu && !residual.defined()) node->shifts = shifts;
  node->statistics = std::move(statistics);
  node->relu = relu;
  node->has_residual = residual.defined();
  node->slot = slot;
  torch::autograd::set_history(result, node);
  if (relu && residual.defined()) node->output = SavedVariable(result, true);
  return result;
}

}  // namespace coherent

bool ct_suits_channels_last_kernels(const ct_tensor *t) { return coherent::suits_channels_last_kernels(t->value); }
