// SPDX-License-Identifier: Apache-2.0

#ifndef COHERENT_THREAD_POLICY_H
#define COHERENT_THREAD_POLICY_H

/// How often libgomp's threads look for new work before they sleep, where nothing else is set.
const char *coherent_spin_count(void);

#endif
