// SPDX-License-Identifier: Apache-2.0
//
// Batch normalisation, the addition of a residual and a ReLU as one graph node, for channels-last images on the CPU:
// y = max(γ·(x − μ)/σ + β + residual, 0). Apart, the three read and write every activation three times, and in a small
// network that is a third of a training step.
//
// Sums run in float over tiles that fit the first-level cache and in double beyond. Each example has sums of its own,
// which also are its gradients of γ and β: a slot receives them, and no rule has to ask again.

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "../bounds.h"
#include "../support.h"
#include "batch_norm_tiles.h"

namespace coherent {
namespace {

using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

// A batch of channels-last images.
struct Images {
  int64_t examples, rows, channels;

  explicit Images(const at::Tensor &t) : examples(t.size(0)), rows(t.size(2) * t.size(3)), channels(t.size(1)) {}
  int64_t size() const { return rows * channels; }

  // Calls body(tile at its first element, that element) over the tiles of one example.
  template <typename Body>
  void over_tiles(int64_t example, const Body &body) const {
    const int64_t most = std::max<int64_t>(1, 4096 / std::max<int64_t>(channels, 1));
    for (int64_t row = 0; row < rows; row += most) {
      BatchNormTile tile{};
      tile.rows = std::min(most, rows - row);
      tile.channels = channels;
      body(tile, example * size() + row * channels);
    }
  }
};

// Number, mean and sum of squared deviations of some values; two such join exactly (Chan, Golub and LeVeque 1979).
void join(double &count, double *mean, double *square, int64_t channels, double other_count, const auto *other_mean,
          const auto *other_square) {
  const double total = count + other_count, share = other_count / total;
  for (int64_t c = 0; c < channels; ++c) {
    const double difference = other_mean[c] - mean[c];
    mean[c] += difference * share;
    square[c] += other_square[c] + difference * difference * count * share;
  }
  count = total;
}

// Examples that are normalised together, with their statistics; "all" and "none of the batch's" are groups as well.
struct Statistics {
  std::vector<int64_t> ends;
  at::Tensor mean, deviation;  // [groups, C], float; deviation is 1/σ

  int64_t group_of(int64_t example) const {
    return std::upper_bound(ends.begin(), ends.end(), example) - ends.begin();
  }
  double count(int64_t group, const Images &images) const {
    return double((ends[group] - (group == 0 ? 0 : ends[group - 1])) * images.rows);
  }
};

void measure(Statistics &statistics, const Images &images, const float *x, float *running_mean, float *running_variance,
             double momentum, double epsilon) {
  const int64_t channels = images.channels, groups = statistics.ends.size();
  std::vector<double> own(images.examples * 2 * channels, 0);
  parallel_for_each(images.examples, [&](int64_t b) {
    double *mean = own.data() + b * 2 * channels, count = 0;
    std::vector<float> part(2 * channels);
    images.over_tiles(b, [&](BatchNormTile &tile, int64_t place) {
      tile.x = x + place;
      tile.first = part.data();
      tile.second = part.data() + channels;
      batch_norm_kernels().moments(tile);
      join(count, mean, mean + channels, channels, double(tile.rows), tile.first, tile.second);
    });
  });
  float *means = statistics.mean.data_ptr<float>(), *deviations = statistics.deviation.data_ptr<float>();
  for (int64_t group = 0, b = 0; group < groups; ++group) {
    std::vector<double> total(2 * channels, 0);
    double count = 0;
    for (; b < statistics.ends[group]; ++b) {
      const double *mean = own.data() + b * 2 * channels;
      join(count, total.data(), total.data() + channels, channels, double(images.rows), mean, mean + channels);
    }
    for (int64_t c = 0; c < channels; ++c) {
      const double variance = total[channels + c] / count;
      means[group * channels + c] = float(total[c]);
      deviations[group * channels + c] = float(1 / std::sqrt(variance + epsilon));
      running_mean[c] += float(momentum * (total[c] - running_mean[c]));
      running_variance[c] += float(momentum * (total[channels + c] / (count - 1) - running_variance[c]));
    }
  }
}

bool suits(const at::Tensor &t) {
  return t.dim() == 4 && t.scalar_type() == at::kFloat && t.is_cpu() &&
         t.is_contiguous(at::MemoryFormat::ChannelsLast) && t.numel() > 0;
}

struct BatchNormBackward : torch::autograd::Node {
  SavedVariable input, output;
  at::Tensor scales;  // of the forward pass, [groups, C]
  at::Tensor shifts;  // the same, where the input says by itself where the ReLU was open: without a residual
  Statistics statistics;
  bool training = false, relu = false, has_residual = false;
  std::shared_ptr<FactorSlot> slot;

  variable_list apply(variable_list &&gradients) override {
    variable_list result(has_residual ? 4 : 3);
    if (!gradients[0].defined()) return result;
    TORCH_CHECK_VALUE(!at::GradMode::is_enabled(), "batch normalisation has no second derivative in channels-last "
                      "float32: use float64");
    const auto x = input.unpack();
    const auto y = relu && !shifts.defined() ? output.unpack(shared_from_this()) : at::Tensor();
    const auto g = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const bool wants_input = task_should_compute_output(0);
    const bool wants_residual = has_residual && task_should_compute_output(3);
    // Behind a ReLU the residual's gradient is a tensor of its own, which then serves the second pass too.
    at::Tensor passed = relu && wants_residual ? at::empty_like(g) : at::Tensor();
    at::Tensor out = wants_input ? at::empty_like(x) : at::Tensor();
    const Images images(x);
    const auto sums = sum(images, x, g, y, passed, training ? at::Tensor() : out);
    if (wants_input && training) {
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
  std::vector<double> sum(const Images &images, const at::Tensor &x, const at::Tensor &g, const at::Tensor &y,
                          const at::Tensor &passed, const at::Tensor &out) const {
    const int64_t channels = images.channels;
    std::vector<double> sums(images.examples * 2 * channels, 0);
    parallel_for_each(images.examples, [&](int64_t b) {
      const int64_t group = statistics.group_of(b) * channels;
      std::vector<float> part(2 * channels);
      double *own = sums.data() + b * 2 * channels;
      images.over_tiles(b, [&](BatchNormTile &tile, int64_t place) {
        tile.x = read<float>(x) + place;
        tile.gradient = read<float>(g) + place;
        tile.y = y.defined() ? read<float>(y) + place : nullptr;
        tile.passed = passed.defined() ? static_cast<float *>(passed.mutable_data_ptr()) + place : nullptr;
        tile.out = out.defined() ? static_cast<float *>(out.mutable_data_ptr()) + place : nullptr;
        tile.mean = read<float>(statistics.mean) + group;
        tile.scale = read<float>(scales) + group;
        tile.shift = shifts.defined() ? read<float>(shifts) + group : nullptr;
        tile.first = part.data();
        tile.second = part.data() + channels;
        batch_norm_kernels().sums(tile);
        for (int64_t c = 0; c < 2 * channels; ++c) own[c] += part[c];
      });
    });
    return sums;
  }

  void differentiate(const Images &images, const at::Tensor &x, const at::Tensor &g, const at::Tensor &y,
                     const at::Tensor &out, const std::vector<double> &sums) const {
    const int64_t channels = images.channels, groups = statistics.ends.size();
    std::vector<double> total(groups * 2 * channels, 0);
    for (int64_t b = 0; b < images.examples; ++b) {
      double *own = total.data() + statistics.group_of(b) * 2 * channels;
      for (int64_t c = 0; c < 2 * channels; ++c) own[c] += sums[b * 2 * channels + c];
    }
    std::vector<float> offset(groups * channels), slope(groups * channels);
    const float *deviation = read<float>(statistics.deviation);
    for (int64_t group = 0; group < groups; ++group) {
      const double count = statistics.count(group, images);
      for (int64_t c = 0; c < channels; ++c) {
        const double d = deviation[group * channels + c];
        offset[group * channels + c] = float(total[group * 2 * channels + c] / count);
        slope[group * channels + c] = float(total[group * 2 * channels + channels + c] * d * d / count);
      }
    }
    parallel_for_each(images.examples, [&](int64_t b) {
      const int64_t group = statistics.group_of(b) * channels;
      images.over_tiles(b, [&](BatchNormTile &tile, int64_t place) {
        tile.x = read<float>(x) + place;
        tile.gradient = read<float>(g) + place;
        tile.y = y.defined() ? read<float>(y) + place : nullptr;
        tile.out = static_cast<float *>(out.mutable_data_ptr()) + place;
        tile.mean = read<float>(statistics.mean) + group;
        tile.scale = read<float>(scales) + group;
        tile.shift = shifts.defined() ? read<float>(shifts) + group : nullptr;
        tile.offset = offset.data() + group;
        tile.slope = slope.data() + group;
        batch_norm_kernels().differentiate(tile);
      });
    });
  }

  // Each example's gradients of γ and β, [B, 2·C].
  at::Tensor rows(const Images &images, const std::vector<double> &sums) const {
    const int64_t channels = images.channels;
    auto result = at::empty({images.examples, 2 * channels}, at::kFloat);
    float *to = result.data_ptr<float>();
    const float *deviation = read<float>(statistics.deviation);
    for (int64_t b = 0; b < images.examples; ++b) {
      const double *own = sums.data() + b * 2 * channels;
      const float *d = deviation + statistics.group_of(b) * channels;
      for (int64_t c = 0; c < channels; ++c) {
        to[b * 2 * channels + c] = float(own[channels + c] * d[c]);
        to[b * 2 * channels + channels + c] = float(own[c]);
      }
    }
    return result;
  }

  void release_variables() override {
    input.reset_data();
    output.reset_data();
  }
};

at::Tensor forward(const at::Tensor &x, const at::Tensor &scales, const at::Tensor &shifts, const at::Tensor &residual,
                   bool relu, const Statistics &statistics) {
  const Images images(x);
  const int64_t channels = images.channels;
  auto out = at::empty_like(x);
  float *to = static_cast<float *>(out.mutable_data_ptr());
  parallel_for_each(images.examples, [&](int64_t b) {
    const int64_t group = statistics.group_of(b) * channels;
    images.over_tiles(b, [&](BatchNormTile &tile, int64_t place) {
      tile.x = read<float>(x) + place;
      tile.y = relu ? tile.x : nullptr;
      tile.residual = residual.defined() ? read<float>(residual) + place : nullptr;
      tile.out = to + place;
      tile.scale = read<float>(scales) + group;
      tile.shift = read<float>(shifts) + group;
      batch_norm_kernels().apply(tile);
    });
  });
  return out;
}

void check_vector(const at::Tensor &t, int64_t channels, const char *name) {
  TORCH_CHECK_VALUE(is_plain(t) && t.dim() == 1 && t.size(0) == channels,
                    "the ", name, " must be ", channels, " contiguous float32 numbers, not ", t.sizes());
}

}  // namespace
}  // namespace coherent

bool ct_suits_channels_last_kernels(const ct_tensor *t) { return coherent::suits(t->value); }

ct_status *ct_batch_norm_relu(ct_tensor **out, const ct_tensor *input, const ct_tensor *weight, const ct_tensor *bias,
                              const ct_tensor *mean, const ct_tensor *variance, const ct_tensor *residual,
                              ct_batch_norm_options options, const ct_range *groups, int64_t count,
                              ct_factor_slot *slot) {
  using namespace coherent;
  return producing(out, [&] {
    const at::Tensor &x = input->value, &w = weight->value, &b = bias->value;
    TORCH_CHECK_VALUE(suits(x), "the input must be float32 [B, C, H, W] on the CPU, channels last, not ", x.sizes());
    const int64_t channels = x.size(1);
    check_vector(w, channels, "weight");
    check_vector(b, channels, "bias");
    check_vector(mean->value, channels, "mean");
    check_vector(variance->value, channels, "variance");
    at::Tensor rest = residual != nullptr ? residual->value : at::Tensor();
    TORCH_CHECK_VALUE(!rest.defined() || (rest.sizes() == x.sizes() && rest.scalar_type() == at::kFloat),
                      "a residual of shape ", rest.sizes(), " does not fit an input of shape ", x.sizes());
    TORCH_CHECK_VALUE(!rest.defined() || rest.is_cpu(), "the residual is on ", rest.device(), ", the input on the CPU");
    if (rest.defined()) rest = rest.contiguous(at::MemoryFormat::ChannelsLast);

    Statistics statistics;
    if (options.training && count != 0) {
      statistics.ends = group_ends(groups, count, x.size(0));
    } else {
      statistics.ends = {x.size(0)};
    }
    at::Tensor result, scales, shifts;
    {
      at::NoGradGuard no_grad;
      const Images images(x);
      if (options.training) {
        const int64_t count = statistics.ends.size();
        for (int64_t group = 0; group < count; ++group) {
          TORCH_CHECK_VALUE(statistics.count(group, images) > 1,
                            "batch statistics need more than one value for each channel: use a larger batch or image");
        }
        statistics.mean = at::empty({count, channels}, at::kFloat);
        statistics.deviation = at::empty({count, channels}, at::kFloat);
        measure(statistics, images, read<float>(x), mean->value.data_ptr<float>(), variance->value.data_ptr<float>(),
                options.momentum, options.epsilon);
      } else {
        statistics.mean = mean->value.clone().unsqueeze(0);
        statistics.deviation = (variance->value.to(at::kDouble) + options.epsilon).rsqrt().to(at::kFloat).unsqueeze(0);
      }
      scales = w.detach() * statistics.deviation;  // [groups, C]
      shifts = b.detach() - (statistics.mean.to(at::kDouble) * scales).to(at::kFloat);
      result = forward(x, scales, shifts, rest, options.relu, statistics);
    }
    const bool tracked = torch::autograd::compute_requires_grad(x, w, b, rest) || (slot && at::GradMode::is_enabled());
    if (!tracked) return result;
    auto node = std::make_shared<BatchNormBackward>();
    node->set_next_edges(rest.defined() ? torch::autograd::collect_next_edges(x, w, b, rest)
                                        : torch::autograd::collect_next_edges(x, w, b));
    node->input = SavedVariable(x, false);
    node->scales = scales;
    if (options.relu && !rest.defined()) node->shifts = shifts;
    node->statistics = std::move(statistics);
    node->training = options.training;
    node->relu = options.relu;
    node->has_residual = rest.defined();
    if (slot != nullptr) node->slot = slot->state;
    torch::autograd::set_history(result, node);
    if (options.relu && rest.defined()) node->output = SavedVariable(result, true);
    return result;
  });
}
