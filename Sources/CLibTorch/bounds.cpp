// SPDX-License-Identifier: Apache-2.0

#include "bounds.h"

#include <algorithm>
#include <array>

namespace coherent {

std::vector<int64_t> group_ends(const ct_range *groups, int64_t count, int64_t rows, int64_t step) {
  TORCH_CHECK_VALUE(step >= 1 && rows % step == 0, rows, " rows are not examples of ", step, " rows each");
  TORCH_CHECK_VALUE(count >= 1 && count <= rows && groups != nullptr, count, " groups cannot cover ", rows, " rows");
  const int64_t examples = rows / step;
  std::vector<int64_t> ends;
  ends.reserve(count);
  int64_t last = 0;
  for (int64_t k = 0; k < count; ++k) {
    const auto [start, end] = groups[k];
    TORCH_CHECK_VALUE(start == last, "group ", k, " begins at ", start, ", not where the one before it ends, at ", last);
    TORCH_CHECK_VALUE(end > start, "group ", k, " has no examples");
    TORCH_CHECK_VALUE(end <= examples, "group ", k, " ends at ", end, ", beyond the ", examples, " examples");
    ends.push_back(end * step);
    last = end;
  }
  TORCH_CHECK_VALUE(last == examples, "the groups do not cover all ", examples, " examples");
  return ends;
}

namespace {

// Below this a sum or a product of two stays within 64 bits.
constexpr int64_t greatest = int64_t(1) << 30;

}  // namespace

void check_window(const int64_t *kernel, const int64_t *geometry) {
  const auto within = [](const int64_t *pair, int64_t least) {
    return pair[0] >= least && pair[1] >= least && pair[0] <= greatest && pair[1] <= greatest;
  };
  TORCH_CHECK_VALUE(within(kernel, 1) && within(geometry, 1) && within(geometry + 2, 0) && within(geometry + 4, 1),
                    "a window of ", kernel[0], " x ", kernel[1], ", stride ", geometry[0], " x ", geometry[1],
                    ", padding ", geometry[2], " x ", geometry[3], ", dilation ", geometry[4], " x ", geometry[5],
                    " is none: numbers from 1 (padding from 0) to ", greatest, " are");
}

std::array<int64_t, 6> plain_geometry(const int64_t *kernel, const int64_t *geometry) {
  std::array<int64_t, 6> result;
  std::copy(geometry, geometry + 6, result.begin());
  for (int axis = 0; axis < 2; ++axis) {
    if (kernel[axis] == 1) result[4 + axis] = 1;
  }
  return result;
}

void check_convolution(const at::Tensor &x, const at::Tensor &d, const int64_t *kernel, const int64_t *geometry,
                       int64_t groups) {
  check_window(kernel, geometry);
  TORCH_CHECK_VALUE(x.dim() == 4 && d.dim() == 4 && x.size(0) == d.size(0) && groups > 0 && x.size(1) % groups == 0 &&
                        d.size(1) % groups == 0,
                    "input ", x.sizes(), " and output gradient ", d.sizes(), " do not belong to the same convolution");
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t size = x.size(2 + axis) + 2 * geometry[2 + axis];
    const int64_t reach = geometry[4 + axis] * (kernel[axis] - 1) + 1;
    // Division rounds towards 0: a window that does not fit would have a place all the same.
    TORCH_CHECK_VALUE(reach <= size, "a window that reaches over ", reach, " pixels is larger than the padded input of ",
                      size);
    TORCH_CHECK_VALUE(d.size(2 + axis) == (size - reach) / geometry[axis] + 1, "input ", x.sizes(),
                      " and output gradient ", d.sizes(), " do not belong to the same convolution");
  }
  // With room for channels in whole vectors, and for every example.
  int64_t numbers = 1;
  const std::array<int64_t, 6> factors{x.size(0), d.size(1) + 64 * groups, x.size(1) / groups,
                                       kernel[0], kernel[1], int64_t(sizeof(double))};
  for (const int64_t factor : factors) {
    TORCH_CHECK_VALUE(!__builtin_mul_overflow(numbers, std::max<int64_t>(factor, 1), &numbers),
                      "the weight gradients of the examples are too many numbers to be counted");
  }
}

}  // namespace coherent
