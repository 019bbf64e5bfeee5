// SPDX-License-Identifier: Apache-2.0

#include "build_info.h"

const char *coherent_commit(void) { return COHERENT_COMMIT; }
