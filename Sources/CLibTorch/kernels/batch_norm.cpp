// SPDX-License-Identifier: Apache-2.0
//
// Batch normalisation, the addition of a residual and a ReLU: statistics over all examples, or over groups of
// consecutive ones; or constants.

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "../bounds.h"
#include "image_norm.h"

namespace coherent {
namespace {

void measure(Statistics &statistics, const Images &images, const float *x, float *running_mean, float *running_variance,
             double momentum, double epsilon) {
  const int64_t channels = images.channels, sets = statistics.ends.size();
  const auto own = channel_moments(images, x);
  float *means = statistics.mean.data_ptr<float>(), *deviations = statistics.deviation.data_ptr<float>();
  for (int64_t set = 0, b = 0; set < sets; ++set) {
    std::vector<double> total(2 * channels, 0);
    double count = 0;
    for (; b < statistics.ends[set]; ++b) {
      const double *mean = own.data() + b * 2 * channels;
      join(count, total.data(), total.data() + channels, channels, double(images.rows), mean, mean + channels);
    }
    for (int64_t c = 0; c < channels; ++c) {
      const double variance = total[channels + c] / count;
      means[set * channels + c] = float(total[c]);
      deviations[set * channels + c] = float(1 / std::sqrt(variance + epsilon));
      running_mean[c] += float(momentum * (total[c] - running_mean[c]));
      running_variance[c] += float(momentum * (total[channels + c] / (count - 1) - running_variance[c]));
    }
  }
}

struct BatchNormBackward : NormBackward {
  bool training = false;

  bool has_constant_statistics() const override { return !training; }

  // The statistics are means over all values of a channel in the set: with n of them, scale·(Σg)/n and
  // scale·(Σg(x − μ))/(n·σ²).
  void by_way_of_statistics(const Images &images, const std::vector<double> &sums, float *offset,
                            float *slope) const override {
    const int64_t channels = images.channels, sets = statistics.ends.size();
    std::vector<double> total(sets * 2 * channels, 0);
    for (int64_t b = 0; b < images.examples; ++b) {
      double *own = total.data() + statistics.set_of(b) * 2 * channels;
      for (int64_t c = 0; c < 2 * channels; ++c) own[c] += sums[b * 2 * channels + c];
    }
    const float *deviation = read<float>(statistics.deviation), *scale = read<float>(scales);
    for (int64_t set = 0; set < sets; ++set) {
      const double count = statistics.count(set, images);
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t place = set * channels + c;
        const double d = deviation[place], share = scale[place] / count;
        offset[place] = float(total[set * 2 * channels + c] * share);
        slope[place] = float(total[set * 2 * channels + channels + c] * d * d * share);
      }
    }
  }
};

}  // namespace
}  // namespace coherent

ct_status *ct_batch_norm_relu(ct_tensor **out, const ct_tensor *input, const ct_tensor *weight, const ct_tensor *bias,
                              const ct_tensor *mean, const ct_tensor *variance, const ct_tensor *residual,
                              ct_batch_norm_options options, const ct_range *groups, int64_t count,
                              ct_factor_slot *slot) {
  using namespace coherent;
  return producing(out, [&] {
    const NormCall call(input->value, weight->value, bias->value, residual, options.relu, slot);
    const at::Tensor &x = call.x;
    const int64_t channels = x.size(1);
    check_channels(mean->value, channels, "mean");
    check_channels(variance->value, channels, "variance");
    Statistics statistics;
    if (options.training && count != 0) {
      statistics.ends = group_ends(groups, count, x.size(0));
    } else {
      statistics.ends = {x.size(0)};
    }
    if (options.training) {
      const Images images(x);
      const int64_t sets = statistics.ends.size();
      for (int64_t set = 0; set < sets; ++set) {
        TORCH_CHECK_VALUE(statistics.count(set, images) > 1,
                          "batch statistics need more than one value for each channel: use a larger batch or image");
      }
      statistics.mean = at::empty({sets, channels}, at::kFloat);
      statistics.deviation = at::empty({sets, channels}, at::kFloat);
      measure(statistics, images, read<float>(x), mean->value.data_ptr<float>(), variance->value.data_ptr<float>(),
              options.momentum, options.epsilon);
    } else {
      at::NoGradGuard no_grad;
      statistics.mean = mean->value.clone().unsqueeze(0);
      statistics.deviation = (variance->value.to(at::kDouble) + options.epsilon).rsqrt().to(at::kFloat).unsqueeze(0);
    }
    auto node = std::make_shared<BatchNormBackward>();
    node->training = options.training;
    return call.result(std::move(node), std::move(statistics));
  });
}
