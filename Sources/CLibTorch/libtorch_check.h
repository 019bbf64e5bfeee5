// SPDX-License-Identifier: Apache-2.0
//
// Included before everything else, so that this is the first thing said where libtorch is missing.
#pragma once

#if defined(__has_include)
#if !__has_include(<ATen/ATen.h>)
#error \
    "libtorch was not found. In this package's folder run `make setup`; in a package that depends on it run `python3 .build/checkouts/NAME/scripts/setup.py`; or set LIBTORCH to a folder with include/ and lib/."
#include "libtorch_is_missing_see_above.h"
#endif
#endif
