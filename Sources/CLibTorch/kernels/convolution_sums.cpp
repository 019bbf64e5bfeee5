// SPDX-License-Identifier: Apache-2.0
//
// What is asked of the rows of a convolution's block of the gradient matrix: made explicit, their norms, their sum,
// the median of their means over groups, their clipped sum. None but the first holds more than a few rows.

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "../bounds.h"
#include "clipped_rows.h"
#include "convolution_rows.h"
#include "median.h"
#include "sums.h"

namespace coherent {
namespace {

CT_CLONES void add(float *__restrict total, const float *__restrict part, int64_t count) {
  for (int64_t i = 0; i < count; ++i) total[i] += part[i];
}
CT_CLONES void scale(float *values, int64_t count, float factor) {
  for (int64_t i = 0; i < count; ++i) values[i] *= factor;
}

// Which group an example belongs to.
int64_t group_of(const std::vector<int64_t> &ends, int64_t example) {
  return std::upper_bound(ends.begin(), ends.end(), example) - ends.begin();
}

// Output channels a few at a time, so that a part of a row and its sum stay in the second-level cache; by twos, which
// are what the best tile takes.
int64_t blocks_at_once(const ConvolutionRows &rows) {
  const int64_t most = (1 << 17) * rows.blocks() / rows.size();
  return std::min(rows.blocks(), std::max<int64_t>(most / 2 * 2, 2));
}

// Sums of rows over groups of consecutive examples, [groups, size]: each thread takes some of the output channels.
at::Tensor sums_by_outputs(const ConvolutionRows &rows, const std::vector<int64_t> &ends) {
  const int64_t size = rows.size(), groups = ends.size(), blocks = rows.blocks(), each = size / blocks;
  const int64_t threads = at::get_num_threads(), step = std::min(blocks_at_once(rows), (blocks + threads - 1) / threads);
  auto sums = at::empty({groups, size}, at::kFloat);
  float *all = sums.data_ptr<float>();
  parallel_for_each((blocks + step - 1) / step, [&](int64_t part) {
    const int64_t first = part * step, last = std::min(blocks, first + step);
    for (int64_t b = 0; b < rows.examples(); ++b) {
      const int64_t group = group_of(ends, b);
      const bool begins = b == (group == 0 ? 0 : ends[group - 1]);
      rows.row(all + group * size + first * each, b, first, last, !begins);
    }
  });
  return sums;
}

// The same, and the norms of the rows where asked for: each thread takes a run of examples and adds to sums of its own,
// which are then added in order; with as many threads the bits are the same.
at::Tensor group_sums(const ConvolutionRows &rows, const std::vector<int64_t> &ends, double *norms) {
  const int64_t size = rows.size(), groups = ends.size(), examples = rows.examples(), blocks = rows.blocks();
  const int64_t runs = std::min<int64_t>(at::get_num_threads(), examples);
  // Few outputs to a thread would not be worth the copies made for them, and tiles are best with two vectors of outputs;
  // but not at the price of large sums for every thread.
  constexpr int64_t small = 1 << 20;
  const bool is_wide = blocks > 4 * runs || rows.taps() > 1 || examples % runs != 0;
  const int64_t least = runs * groups * size <= small ? 2 * runs : runs;
  if (norms == nullptr && (runs == 1 || (blocks >= least && is_wide))) return sums_by_outputs(rows, ends);
  const int64_t each = size / blocks, step = blocks_at_once(rows);
  auto sums = at::zeros({runs, groups, size}, at::kFloat);
  float *all = sums.data_ptr<float>();
  if (norms != nullptr) std::fill_n(norms, examples, 0);
  parallel_for_each(runs, [&](int64_t run) {
    float *part = scratch(step * each);
    for (int64_t first = 0; first < blocks; first += step) {
      const int64_t last = std::min(blocks, first + step), count = (last - first) * each;
      for (int64_t b = run * examples / runs; b < (run + 1) * examples / runs; ++b) {
        float *sum = all + (run * groups + group_of(ends, b)) * size + first * each;
        if (norms == nullptr) {
          rows.row(sum, b, first, last, true);
        } else {
          rows.row(part, b, first, last);
          norms[b] += squared_norm(part, count);
          add(sum, part, count);
        }
      }
    }
  });
  return runs == 1 ? sums[0] : sums.sum(0);
}

}  // namespace

void convolution_weight_gradient(float *target, const ConvolutionRows &rows, bool accumulate) {
  rows.arrange(target, read<float>(group_sums(rows, {rows.examples()}, nullptr)), 0, rows.blocks(), accumulate);
}

namespace {

ConvolutionRows rows_of(const ct_tensor *input, const ct_tensor *delta, const int64_t *kernel, const int64_t *geometry,
                        int64_t groups) {
  TORCH_CHECK_VALUE(ConvolutionRows::suits(input->value, delta->value),
                    "the kernels need float32 images [B, C, H, W] on the CPU, not ", input->value.sizes(), " and ",
                    delta->value.sizes());
  return ConvolutionRows(input->value, delta->value, kernel, geometry, groups);
}

float *weight_of(const ct_tensor *target, const ct_tensor *input, const ct_tensor *delta, const int64_t *kernel,
                 int64_t groups) {
  const at::Tensor &t = target->value;
  const int64_t expected = delta->value.size(1) * (input->value.size(1) / groups) * kernel[0] * kernel[1];
  TORCH_CHECK_VALUE(is_plain(t) && t.numel() == expected,
                    "the target must be ", expected, " contiguous float32 numbers, not ", t.sizes());
  return t.data_ptr<float>();
}

}  // namespace
}  // namespace coherent

ct_status *ct_convolution_rows(ct_tensor **out, const ct_tensor *input, const ct_tensor *output_gradient,
                               const int64_t *kernel, const int64_t *geometry, int64_t groups) {
  using namespace coherent;
  return producing(out, [&] {
    const auto rows = rows_of(input, output_gradient, kernel, geometry, groups);
    const int64_t outputs = output_gradient->value.size(1), own = input->value.size(1) / groups;
    auto result = at::empty({rows.examples(), outputs, own, kernel[0], kernel[1]}, at::kFloat);
    const int64_t count = outputs * own * kernel[0] * kernel[1];
    float *to = result.data_ptr<float>();
    parallel_for_each(rows.examples(), [&](int64_t b) {
      float *row = scratch(rows.size());
      rows.row(row, b, 0, rows.blocks());
      rows.arrange(to + b * count, row, 0, rows.blocks(), false);
    });
    return result;
  });
}

ct_status *ct_convolution_row_norms(ct_tensor **out, const ct_tensor *sum, const ct_tensor *input,
                                    const ct_tensor *output_gradient, const int64_t *kernel, const int64_t *geometry,
                                    int64_t groups, bool accumulate) {
  using namespace coherent;
  return producing(out, [&] {
    const auto rows = rows_of(input, output_gradient, kernel, geometry, groups);
    auto norms = at::empty({rows.examples()}, at::kDouble);
    double *each = norms.data_ptr<double>();
    if (sum == nullptr) {
      parallel_for_each(rows.examples(), [&](int64_t b) {
        float *row = scratch(rows.size());
        rows.row(row, b, 0, rows.blocks());
        each[b] = squared_norm(row, rows.size());
      });
    } else {
      float *to = weight_of(sum, input, output_gradient, kernel, groups);
      const auto total = group_sums(rows, {rows.examples()}, each);
      rows.arrange(to, read<float>(total), 0, rows.blocks(), accumulate);
    }
    return norms;
  });
}

ct_status *ct_convolution_row_products(ct_tensor **out, const ct_tensor *vectors, const ct_tensor *input,
                                       const ct_tensor *output_gradient, const int64_t *kernel, const int64_t *geometry,
                                       int64_t groups) {
  using namespace coherent;
  return producing(out, [&] {
    const auto rows = rows_of(input, output_gradient, kernel, geometry, groups);
    const at::Tensor &v = vectors->value;
    const int64_t size = rows.size(), count = v.dim() == 2 ? v.size(0) : 0, columns = count + 1;
    const int64_t expected = output_gradient->value.size(1) * (input->value.size(1) / groups) * kernel[0] * kernel[1];
    TORCH_CHECK_VALUE(is_plain(v) && v.dim() == 2 && v.size(1) == expected,
                      "the vectors must be contiguous float32 [M, ", expected, "], not ", v.sizes());
    auto packed = at::empty({count, size}, at::kFloat);
    float *all = packed.data_ptr<float>();
    for (int64_t m = 0; m < count; ++m) rows.pack(all + m * size, v.data_ptr<float>() + m * expected);
    auto result = at::empty({rows.examples(), columns}, at::kDouble);
    double *to = result.data_ptr<double>();
    parallel_for_each(rows.examples(), [&](int64_t b) {
      float *row = scratch(size);
      rows.row(row, b, 0, rows.blocks());
      for (int64_t m = 0; m < count; ++m) to[b * columns + m] = inner_product(row, all + m * size, size);
      to[b * columns + count] = squared_norm(row, size);
    });
    return result;
  });
}

ct_status *ct_convolution_row_sum(const ct_tensor *target, const ct_tensor *input, const ct_tensor *output_gradient,
                                  const int64_t *kernel, const int64_t *geometry, int64_t groups, bool accumulate) {
  using namespace coherent;
  return guarded([&] {
    const auto rows = rows_of(input, output_gradient, kernel, geometry, groups);
    float *to = weight_of(target, input, output_gradient, kernel, groups);
    convolution_weight_gradient(to, rows, accumulate);
  });
}

ct_status *ct_convolution_row_median(const ct_tensor *target, const ct_tensor *input, const ct_tensor *output_gradient,
                                     const int64_t *kernel, const int64_t *geometry, int64_t groups,
                                     const ct_range *parts, int64_t count) {
  using namespace coherent;
  return guarded([&] {
    const auto rows = rows_of(input, output_gradient, kernel, geometry, groups);
    float *to = weight_of(target, input, output_gradient, kernel, groups);
    TORCH_CHECK_VALUE(count >= 3 && count <= largest_median && count % 2 == 1, "the median of ", count,
                      " groups is not supported: use 3, 5, 7 or 9");
    const auto places = group_ends(parts, count, rows.examples());
    const auto sums = group_sums(rows, places, nullptr);
    auto median = at::empty({rows.size()}, at::kFloat);
    float *all = sums.data_ptr<float>(), *middle = median.data_ptr<float>();
    constexpr int64_t span = 1 << 13;
    parallel_for_each((rows.size() + span - 1) / span, [&](int64_t part) {
      const int64_t start = part * span, width = std::min(span, rows.size() - start);
      for (int64_t g = 0; g < count; ++g) {
        const int64_t examples = places[g] - (g == 0 ? 0 : places[g - 1]);
        scale(all + g * rows.size() + start, width, 1.0f / float(examples));
      }
      median_of(middle + start, all + start, rows.size(), count, width);
    });
    rows.arrange(to, read<float>(median), 0, rows.blocks(), false);
  });
}

ct_status *ct_convolution_clipped_sum(const ct_tensor *target, const ct_tensor *input, const ct_tensor *output_gradient,
                                      const int64_t *kernel, const int64_t *geometry, int64_t groups, ct_clip options) {
  using namespace coherent;
  return guarded([&] {
    const auto rows = rows_of(input, output_gradient, kernel, geometry, groups);
    float *to = weight_of(target, input, output_gradient, kernel, groups);
    const Clip clip = checked(options, rows.examples());
    // As many output channels at a time as keep the rows within this many numbers.
    constexpr int64_t budget = 1 << 22;
    const int64_t each = rows.size() / rows.blocks(), blocks = rows.blocks();
    const int64_t step = std::clamp<int64_t>(budget / (each * rows.examples()), 1, blocks);
    auto explicit_rows = at::empty({rows.examples() * step * each}, at::kFloat);
    auto sums = at::empty({step * each}, at::kFloat);
    float *all = explicit_rows.data_ptr<float>();
    for (int64_t first = 0; first < blocks; first += step) {
      const int64_t last = std::min(blocks, first + step), count = (last - first) * each;
      parallel_for_each(rows.examples(), [&](int64_t b) { rows.row(all + b * count, b, first, last); });
      clipped_rows(sums.data_ptr<float>(), all, rows.examples(), count, clip);
      rows.arrange(to, read<float>(sums), first, last, false);
    }
  });
}
