// SPDX-License-Identifier: Apache-2.0
#pragma once

// The git commit that the program was built from, as `make build` found it; empty where the build was not told.
const char *coherent_commit(void);
