// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "../support.h"

namespace coherent {

// target = sign(source): −1, 0 of either sign, 1 or NaN.
void signs(float *target, const float *source, int64_t count);

// The same as bytes; whether no number was NaN.
bool byte_signs(int8_t *target, const float *source, int64_t count);

}  // namespace coherent
