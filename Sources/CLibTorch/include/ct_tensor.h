// SPDX-License-Identifier: Apache-2.0
//
// Making tensors, asking about them, viewing and copying them.
#ifndef CT_TENSOR_H
#define CT_TENSOR_H

#include "ct_base.h"

CT_BEGIN

#define CT_SHAPE const int64_t *CT_NULLABLE shape, int64_t rank

void ct_tensor_free(ct_tensor *CT_NULLABLE tensor);

// Creation
CT_CALL ct_empty(CT_OUT out, CT_SHAPE, ct_dtype dtype, ct_device device);
CT_CALL ct_full(CT_OUT out, CT_SHAPE, double value, ct_dtype dtype, ct_device device);
CT_CALL ct_arange(CT_OUT out, int64_t start, int64_t end, ct_device device);
// Copies `bytes` bytes of host memory, which must hold exactly the elements of `shape`.
CT_CALL ct_from_bytes(CT_OUT out, const void *CT_NULLABLE data, int64_t bytes, CT_SHAPE, ct_dtype dtype,
                      ct_device device);
CT_CALL ct_uniform(CT_OUT out, CT_SHAPE, double low, double high, ct_dtype dtype, ct_generator *CT_NONNULL generator);
CT_CALL ct_normal(CT_OUT out, CT_SHAPE, double mean, double deviation, ct_dtype dtype,
                  ct_generator *CT_NONNULL generator);
CT_CALL ct_bernoulli(CT_OUT out, CT_SHAPE, double probability, ct_dtype dtype, ct_generator *CT_NONNULL generator);

// Facts
int64_t ct_rank(CT_IN tensor);
int64_t ct_size(CT_IN tensor, int64_t dimension);
int64_t ct_stride(CT_IN tensor, int64_t dimension);
int64_t ct_element_count(CT_IN tensor);
CT_CALL ct_dtype_of(ct_dtype *CT_NONNULL out, CT_IN tensor);
ct_device ct_device_of(CT_IN tensor);
bool ct_is_contiguous(CT_IN tensor);
bool ct_requires_gradient(CT_IN tensor);
CT_CALL ct_set_requires_gradient(ct_tensor *CT_NONNULL tensor, bool value);
// The address of the first element, for contiguous CPU tensors.
CT_CALL ct_data(void *CT_NULLABLE *CT_NONNULL out, CT_IN tensor);
// Copies the elements in row-major order to host memory of exactly `bytes` bytes, whatever the layout or device.
CT_CALL ct_copy_to_bytes(CT_IN tensor, void *CT_NULLABLE data, int64_t bytes);
// A contiguous copy on the host, begun now; a GPU goes on meanwhile with what it is given after. Waiting for it gives the
// copy, as often as asked.
CT_CALL ct_host_copy_begin(ct_host_copy *CT_NULLABLE *CT_NONNULL out, CT_IN tensor);
CT_CALL ct_host_copy_wait(CT_OUT out, const ct_host_copy *CT_NONNULL copy);
void ct_host_copy_free(ct_host_copy *CT_NULLABLE copy);
CT_CALL ct_item(double *CT_NONNULL out, CT_IN tensor);
CT_CALL ct_item_integer(int64_t *CT_NONNULL out, CT_IN tensor);

// Copies
CT_CALL ct_clone(CT_OUT out, CT_IN tensor);
CT_CALL ct_contiguous(CT_OUT out, CT_IN tensor);
CT_CALL ct_channels_last(CT_OUT out, CT_IN tensor);
CT_CALL ct_to(CT_OUT out, CT_IN tensor, ct_dtype dtype, ct_device device);
CT_CALL ct_copy_into(CT_IN destination, CT_IN source);
CT_CALL ct_fill(CT_IN tensor, double value);

// Views
CT_CALL ct_detach(CT_OUT out, CT_IN tensor);
CT_CALL ct_reshape(CT_OUT out, CT_IN tensor, CT_SHAPE);
CT_CALL ct_expand(CT_OUT out, CT_IN tensor, CT_SHAPE);
CT_CALL ct_transpose(CT_OUT out, CT_IN tensor, int64_t first, int64_t second);
CT_CALL ct_permute(CT_OUT out, CT_IN tensor, const int64_t *CT_NULLABLE order, int64_t rank);
CT_CALL ct_narrow(CT_OUT out, CT_IN tensor, int64_t dimension, int64_t start, int64_t length);
CT_CALL ct_select(CT_OUT out, CT_IN tensor, int64_t dimension, int64_t index);
CT_CALL ct_unsqueeze(CT_OUT out, CT_IN tensor, int64_t dimension);
CT_CALL ct_squeeze(CT_OUT out, CT_IN tensor, int64_t dimension);

// Assembling and picking
CT_CALL ct_concatenate(CT_OUT out, const ct_tensor *CT_NONNULL const *CT_NULLABLE tensors, int64_t count,
                       int64_t dimension);
CT_CALL ct_index_select(CT_OUT out, CT_IN tensor, int64_t dimension, CT_IN indices);
// out [rows, ...]: zeros, plus source's slices added at `indices` along the first dimension.
CT_CALL ct_index_add(CT_OUT out, int64_t rows, CT_IN indices, CT_IN source);
CT_CALL ct_gather(CT_OUT out, CT_IN tensor, int64_t dimension, CT_IN indices);

CT_END
#endif
