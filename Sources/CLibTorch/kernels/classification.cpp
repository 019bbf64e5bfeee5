// SPDX-License-Identifier: Apache-2.0
//
// Softmax cross entropy as one node, and the per-example facts read off the logits.

#include <ATen/Dispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <cmath>

#include "../support.h"

namespace coherent {
namespace {

using torch::autograd::variable_list;

void check_classification(const at::Tensor &logits, const at::Tensor &targets) {
  TORCH_CHECK_VALUE(logits.dim() == 2 && targets.dim() == 1 && logits.size(0) == targets.size(0) && logits.size(1) > 0,
                    "logits ", logits.sizes(), " (examples, classes) do not fit targets ", targets.sizes());
  TORCH_CHECK_TYPE(targets.scalar_type() == at::kLong, "targets must be int64, not ",
                   at::toString(targets.scalar_type()));
  TORCH_CHECK_TYPE(at::isFloatingType(logits.scalar_type()), "logits must be floating point");
}

void check_range(const int64_t *targets, int64_t count, int64_t classes) {
  for (int64_t i = 0; i < count; ++i) {
    TORCH_CHECK_INDEX(targets[i] >= 0 && targets[i] < classes, "target ", targets[i], " of example ", i,
                      " is outside the ", classes, " classes");
  }
}

// Losses, and softmax − one-hot, which is each loss's gradient with respect to its logits.
template <typename scalar>
void cross_entropy(scalar *losses, scalar *slopes, const scalar *logits, const int64_t *targets, int64_t count,
                   int64_t classes) {
  for (int64_t i = 0; i < count; ++i) {
    const scalar *row = logits + i * classes;
    scalar *slope = slopes + i * classes;
    scalar top = row[0];
    for (int64_t k = 1; k < classes; ++k) top = std::max(top, row[k]);
    scalar sum = 0;
    for (int64_t k = 0; k < classes; ++k) {
      slope[k] = std::exp(row[k] - top);
      sum += slope[k];
    }
    for (int64_t k = 0; k < classes; ++k) slope[k] /= sum;
    slope[targets[i]] -= 1;
    losses[i] = std::log(sum) - (row[targets[i]] - top);
  }
}

struct CrossEntropyBackward : torch::autograd::Node {
  at::Tensor slopes;

  variable_list apply(variable_list &&gradients) override {
    if (!gradients[0].defined()) return {at::Tensor()};
    TORCH_CHECK_VALUE(slopes.defined(), "the graph was freed by an earlier backward pass; retain it for a second one");
    TORCH_CHECK_NOT_IMPLEMENTED(!at::GradMode::is_enabled(),
                                "the fused cross entropy has no second derivative: use log softmax instead");
    return {slopes * gradients[0].unsqueeze(1)};
  }
  void release_variables() override { slopes.reset(); }
};

}  // namespace
}  // namespace coherent

ct_status *ct_cross_entropy(ct_tensor **out, const ct_tensor *logits, const ct_tensor *targets) {
  using namespace coherent;
  return producing(out, [&]() -> at::Tensor {
    const at::Tensor &z = logits->value, &y = targets->value;
    check_classification(z, y);
    TORCH_CHECK_VALUE(z.device() == y.device(), "logits on ", z.device(), " and targets on ", y.device());
    if (!is_real_on_cpu(z)) return at::cross_entropy_loss(z, y, {}, at::Reduction::None);
    at::Tensor losses, slopes;
    {
      at::AutoDispatchBelowAutograd below;
      const auto rows = z.contiguous();
      const auto labels = y.contiguous();
      check_range(coherent::read<int64_t>(labels), labels.numel(), z.size(1));
      losses = at::empty({z.size(0)}, z.options());
      slopes = at::empty(z.sizes(), z.options());
      AT_DISPATCH_FLOATING_TYPES(z.scalar_type(), "cross_entropy", [&] {
        cross_entropy(losses.data_ptr<scalar_t>(), slopes.data_ptr<scalar_t>(), coherent::read<scalar_t>(rows),
                      coherent::read<int64_t>(labels), z.size(0), z.size(1));
      });
    }
    if (torch::autograd::compute_requires_grad(z)) {
      auto node = std::make_shared<CrossEntropyBackward>();
      node->set_next_edges(torch::autograd::collect_next_edges(z));
      node->slopes = slopes;
      torch::autograd::set_history(losses, node);
    }
    return losses;
  });
}

ct_status *ct_classification_records(ct_tensor **losses, ct_tensor **margins, ct_tensor **ranks,
                                     const ct_tensor *logits, const ct_tensor *targets) {
  using namespace coherent;
  return guarded([&] {
    check_classification(logits->value, targets->value);
    const auto z = logits->value.detach().to(at::kCPU, at::kDouble).contiguous();
    const auto y = targets->value.to(at::kCPU).contiguous();
    const int64_t count = z.size(0), classes = z.size(1);
    const auto *labels = coherent::read<int64_t>(y);
    check_range(labels, count, classes);
    auto loss = at::empty({count}, at::kDouble), margin = at::empty({count}, at::kDouble);
    auto rank = at::empty({count}, at::kLong);
    for (int64_t i = 0; i < count; ++i) {
      const double *row = coherent::read<double>(z) + i * classes;
      const double own = row[labels[i]];
      double top = row[0], rival = -INFINITY, sum = 0;
      int64_t above = 0;
      for (int64_t k = 0; k < classes; ++k) {
        top = std::max(top, row[k]);
        if (k == labels[i]) continue;
        if (row[k] > rival || std::isnan(row[k])) rival = row[k];
        above += !(row[k] < own);
      }
      for (int64_t k = 0; k < classes; ++k) sum += std::exp(row[k] - top);
      loss.data_ptr<double>()[i] = std::log(sum) - (own - top);
      margin.data_ptr<double>()[i] = own - rival;
      rank.data_ptr<int64_t>()[i] = above;
    }
    auto one = std::make_unique<ct_tensor>(loss), two = std::make_unique<ct_tensor>(margin);
    give(ranks, rank);
    *losses = one.release();
    *margins = two.release();
  });
}
