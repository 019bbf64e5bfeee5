// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include "../support.h"

namespace coherent {

// What is the same for all parameters of a step: the corrections for moments that start at 0, and the decays.
template <typename scalar>
struct AdamStep {
  scalar beta1, beta2, fresh1, fresh2, epsilon, rate, root_correction, coupled, kept;

  explicit AdamStep(const ct_adam_options &o)
      : beta1(o.beta1), beta2(o.beta2), fresh1(1 - o.beta1), fresh2(1 - o.beta2), epsilon(o.epsilon),
        rate(o.learning_rate / (1 - std::pow(o.beta1, static_cast<double>(o.update)))),
        root_correction(1 / std::sqrt(1 - std::pow(o.beta2, static_cast<double>(o.update)))),
        coupled(o.decoupled ? 0 : o.weight_decay), kept(o.decoupled ? 1 - o.learning_rate * o.weight_decay : 1) {}
};

}  // namespace coherent
