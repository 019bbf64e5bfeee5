// SPDX-License-Identifier: Apache-2.0
//
// Group normalisation, the addition of a residual and a ReLU: each example by statistics of its own, over groups of
// channels. libtorch's own kernel for channels-last images takes more than half of a training step of a small network.

#include <cmath>

#include "image_norm.h"

namespace coherent {
namespace {

// For each example, of each channel the mean and 1/σ of its group.
Statistics measure(const Images &images, const float *x, int64_t groups, double epsilon) {
  const int64_t channels = images.channels, width = channels / groups;
  const auto own = channel_moments(images, x);
  Statistics result;
  result.mean = at::empty({images.examples, channels}, at::kFloat);
  result.deviation = at::empty({images.examples, channels}, at::kFloat);
  float *means = result.mean.data_ptr<float>(), *deviations = result.deviation.data_ptr<float>();
  for (int64_t b = 0; b < images.examples; ++b) {
    result.ends.push_back(b + 1);
    const double *mean = own.data() + b * 2 * channels, *square = mean + channels;
    for (int64_t first = 0; first < channels; first += width) {
      double count = 0, mean_of_all = 0, square_of_all = 0;
      for (int64_t c = first; c < first + width; ++c) {
        join(count, &mean_of_all, &square_of_all, 1, double(images.rows), mean + c, square + c);
      }
      const double deviation = 1 / std::sqrt(square_of_all / count + epsilon);
      std::fill_n(means + b * channels + first, width, float(mean_of_all));
      std::fill_n(deviations + b * channels + first, width, float(deviation));
    }
  }
  return result;
}

struct GroupNormBackward : NormBackward {
  int64_t groups = 1;

  // The statistics are means over the n values of a group, whose channels have scales of their own: Σ scale·g / n and
  // Σ scale·g·(x − μ) / (n·σ²).
  void by_way_of_statistics(const Images &images, const std::vector<double> &sums, float *offset,
                            float *slope) const override {
    const int64_t channels = images.channels, width = channels / groups;
    const float *deviation = read<float>(statistics.deviation), *scale = read<float>(scales);
    const double count = double(width * images.rows);
    for (int64_t b = 0; b < images.examples; ++b) {
      const double *own = sums.data() + b * 2 * channels;
      for (int64_t first = 0; first < channels; first += width) {
        const int64_t place = b * channels + first;
        double constant = 0, linear = 0;
        for (int64_t c = 0; c < width; ++c) {
          constant += scale[place + c] * own[first + c];
          linear += scale[place + c] * own[channels + first + c];
        }
        const double d = deviation[place];
        std::fill_n(offset + place, width, float(constant / count));
        std::fill_n(slope + place, width, float(linear * d * d / count));
      }
    }
  }
};

}  // namespace
}  // namespace coherent

ct_status *ct_group_norm_relu(ct_tensor **out, const ct_tensor *input, int64_t groups, const ct_tensor *weight,
                              const ct_tensor *bias, double epsilon, const ct_tensor *residual, bool relu,
                              ct_factor_slot *slot) {
  using namespace coherent;
  return producing(out, [&] {
    const NormCall call(input->value, weight->value, bias->value, residual, relu, slot);
    const Images images(call.x);
    TORCH_CHECK_VALUE(groups >= 1 && images.channels % groups == 0, images.channels, " channels do not divide into ",
                      groups, " groups");
    auto node = std::make_shared<GroupNormBackward>();
    node->groups = groups;
    return call.result(std::move(node), measure(images, read<float>(call.x), groups, epsilon));
  });
}
