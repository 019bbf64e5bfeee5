// SPDX-License-Identifier: Apache-2.0
//
// The library itself: versions, threads, devices, random generators, memory.
#ifndef CT_RUNTIME_H
#define CT_RUNTIME_H

#include "ct_base.h"

CT_BEGIN

// The libtorch whose headers were compiled against, such as "2.11.0".
const char *CT_NONNULL ct_compiled_version(void);
// The version of the libtorch that is loaded, or NULL when it does not say; the caller frees it with ct_string_free.
CT_CALL ct_loaded_version(char *CT_NULLABLE *CT_NONNULL out);
// Its build description, freed likewise. Loads libtorch_cuda, which the description is about, too.
CT_CALL ct_loaded_description(char *CT_NULLABLE *CT_NONNULL out);
void ct_string_free(char *CT_NULLABLE string);
// The folder the loaded torch_cpu lives in; freed with ct_string_free.
CT_CALL ct_library_path(char *CT_NULLABLE *CT_NONNULL out);
// The widest vector instruction set libtorch uses here, such as "AVX512".
CT_CALL ct_cpu_capability(char *CT_NULLABLE *CT_NONNULL out);

int32_t ct_thread_count(void);
// For the calling thread, and for threads that use libtorch later for the first time.
CT_CALL ct_set_thread_count(int32_t count);

// Loads libtorch_cuda. Writes 0 when there is none or no usable device.
CT_CALL ct_cuda_device_count(int32_t *CT_NONNULL out);
// Why there is no usable device, or NULL when there is one; freed with ct_string_free.
CT_CALL ct_cuda_problem(char *CT_NULLABLE *CT_NONNULL out);
// Compiles a kernel of each kind for an architecture such as "sm_90". Needs NVRTC, and no device.
CT_CALL ct_cuda_compile_kernels(const char *CT_NONNULL architecture);
// The same for a device of this machine, which from then on uses them.
CT_CALL ct_cuda_prepare_kernels(int32_t device);
// How many launches of our own kernels there were.
int64_t ct_cuda_kernel_launches(void);
CT_CALL ct_cuda_synchronize(ct_device device);

// Peak resident memory of the process, in bytes.
int64_t ct_peak_resident_bytes(void);

// Seconds of processors that the process has had, in user and kernel mode, over all its threads.
double ct_processor_seconds(void);

// Has the C library keep freed memory for the next allocation instead of returning it to the system; true where it can.
bool ct_keep_freed_memory(void);

CT_CALL ct_generator_create(ct_generator *CT_NULLABLE *CT_NONNULL out, ct_device device, uint64_t seed);
void ct_generator_free(ct_generator *CT_NULLABLE generator);
CT_CALL ct_generator_get_state(CT_OUT out, const ct_generator *CT_NONNULL generator);
CT_CALL ct_generator_set_state(ct_generator *CT_NONNULL generator, CT_IN state);

CT_END
#endif
