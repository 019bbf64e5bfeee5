// SPDX-License-Identifier: Apache-2.0
//
// What normalisations of channels-last images on the CPU share: y = max(γ·(x − μ)/σ + β + residual, 0) as one graph
// node. Apart, the three steps read and write every activation three times, and in a small network that is a third of a
// training step.
//
// Sums run in float over tiles that fit the first-level cache and in double beyond. Each example has sums of its own,
// which also are its gradients of γ and β: a slot receives them, and no rule has to ask again.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "../support.h"
#include "norm_tiles.h"

namespace coherent {

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
      NormTile tile{};
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

// Means and sums of squared deviations of each example's channels: [B, 2, C].
std::vector<double> channel_moments(const Images &images, const float *x);

// Sets of consecutive examples that go by the same numbers, with these numbers for each channel.
struct Statistics {
  std::vector<int64_t> ends;
  at::Tensor mean, deviation;  // [sets, C], float; deviation is 1/σ

  int64_t set_of(int64_t example) const { return std::upper_bound(ends.begin(), ends.end(), example) - ends.begin(); }
  // How many values of a channel a set has.
  double count(int64_t set, const Images &images) const {
    return double((ends[set] - (set == 0 ? 0 : ends[set - 1])) * images.rows);
  }
};

struct NormBackward : torch::autograd::Node {
  torch::autograd::SavedVariable input, output;
  at::Tensor scales;  // of the forward pass, [sets, C]
  at::Tensor shifts;  // the same, where the input says by itself where the ReLU was open: without a residual
  Statistics statistics;
  bool relu = false, has_residual = false;
  std::shared_ptr<FactorSlot> slot;

  torch::autograd::variable_list apply(torch::autograd::variable_list &&gradients) override;
  void release_variables() override;

 protected:
  // Whether the statistics are constants, so that no gradient comes by way of them.
  virtual bool has_constant_statistics() const { return false; }
  // That gradient is −offset − slope·(x − μ), with both [sets, C], from each example's sums of g and g·(x − μ), [B, 2, C].
  virtual void by_way_of_statistics(const Images &images, const std::vector<double> &sums, float *offset,
                                    float *slope) const = 0;

 private:
  std::vector<double> sum(const Images &images, const at::Tensor &x, const at::Tensor &g, const at::Tensor &y,
                          const at::Tensor &passed, const at::Tensor &out) const;
  void differentiate(const Images &images, const at::Tensor &x, const at::Tensor &g, const at::Tensor &y,
                     const at::Tensor &out, const std::vector<double> &sums) const;
  at::Tensor rows(const Images &images, const std::vector<double> &sums) const;
};

// What a layer is given.
struct NormCall {
  const at::Tensor &x, &weight, &bias;
  at::Tensor residual;  // channels last, or none
  bool relu;
  std::shared_ptr<FactorSlot> slot;

  // Throws unless all of it fits.
  NormCall(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias, const ct_tensor *residual, bool relu,
           ct_factor_slot *slot);
  // The result by these statistics; the node goes behind it where gradients are wanted.
  at::Tensor result(std::shared_ptr<NormBackward> node, Statistics statistics) const;
};

// Whether the kernels take this tensor.
bool suits_channels_last_kernels(const at::Tensor &t);
// Throws unless it is one number for each channel.
void check_channels(const at::Tensor &t, int64_t channels, const char *name);

}  // namespace coherent
