// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "../support.h"
#include "order_statistics.h"

namespace coherent {

// target [width] = the clipped sum of rows [batch, width], coordinate by coordinate.
void clipped_rows(float *target, const float *rows, int64_t batch, int64_t width, const Clip &clip);

// The options for a batch; throws when there are no more examples than are clipped.
Clip checked(ct_clip options, int64_t batch);

}  // namespace coherent
