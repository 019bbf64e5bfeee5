// SPDX-License-Identifier: Apache-2.0

#include <ATen/ATen.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <cstring>

#include "host_copy.h"
#include "support.h"

using coherent::device;
using coherent::dimensions;
using coherent::guarded;
using coherent::producing;
using coherent::scalar_type;

namespace coherent {

at::ScalarType scalar_type(ct_dtype dtype) {
  switch (dtype) {
    case CT_FLOAT32: return at::kFloat;
    case CT_FLOAT64: return at::kDouble;
    case CT_FLOAT16: return at::kHalf;
    case CT_BFLOAT16: return at::kBFloat16;
    case CT_INT64: return at::kLong;
    case CT_INT32: return at::kInt;
    case CT_UINT8: return at::kByte;
    case CT_BOOL: return at::kBool;
  }
  TORCH_CHECK_TYPE(false, "unknown element type ", static_cast<int>(dtype));
}

ct_dtype dtype_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat: return CT_FLOAT32;
    case at::kDouble: return CT_FLOAT64;
    case at::kHalf: return CT_FLOAT16;
    case at::kBFloat16: return CT_BFLOAT16;
    case at::kLong: return CT_INT64;
    case at::kInt: return CT_INT32;
    case at::kByte: return CT_UINT8;
    case at::kBool: return CT_BOOL;
    default: TORCH_CHECK_TYPE(false, "element type ", at::toString(type), " is not supported");
  }
}

at::Device device(ct_device d) {
  if (d.kind == CT_CPU) return at::kCPU;
  const int count = cuda_device_count();
  TORCH_CHECK_VALUE(count > 0, "there is no CUDA device: ", cuda_problem());
  TORCH_CHECK_VALUE(d.index >= 0 && d.index < count, "there is no CUDA device ", d.index, ": ", count, " found");
  return {at::kCUDA, static_cast<c10::DeviceIndex>(d.index)};
}

std::optional<at::Tensor> optional(const ct_tensor *t) {
  return t == nullptr ? std::nullopt : std::optional<at::Tensor>(t->value);
}

}  // namespace coherent

namespace {

int64_t byte_count(at::IntArrayRef sizes, at::ScalarType type) {
  uint64_t bytes = c10::elementSize(type);
  for (const auto size : sizes) TORCH_CHECK_VALUE(size >= 0, "a size is negative: ", size);
  for (const auto size : sizes) {
    if (size == 0) return 0;
  }
  for (const auto size : sizes) {
    TORCH_CHECK_VALUE(!__builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes), "the shape is too large");
  }
  TORCH_CHECK_VALUE(bytes <= static_cast<uint64_t>(INT64_MAX), "the shape is too large");
  return static_cast<int64_t>(bytes);
}

at::TensorOptions options(ct_dtype dtype, at::Device place) {
  return at::TensorOptions().dtype(scalar_type(dtype)).device(place);
}

// Memory for draws, on the generator's device.
at::Tensor drawn(const int64_t *shape, int64_t rank, ct_dtype dtype, const ct_generator *generator) {
  return at::empty(dimensions(shape, rank), options(dtype, generator->value.device()));
}

}  // namespace

void ct_tensor_free(ct_tensor *tensor) { delete tensor; }

CT_OPERATION(ct_empty, at::empty(dimensions(shape, rank), options(dtype, device(d))),
             const int64_t *shape, int64_t rank, ct_dtype dtype, ct_device d)
CT_OPERATION(ct_full, at::full(dimensions(shape, rank), value, options(dtype, device(d))),
             const int64_t *shape, int64_t rank, double value, ct_dtype dtype, ct_device d)
CT_OPERATION(ct_arange, at::arange(start, end, options(CT_INT64, device(d))), int64_t start, int64_t end, ct_device d)

ct_status *ct_from_bytes(ct_tensor **out, const void *data, int64_t bytes, const int64_t *shape, int64_t rank,
                         ct_dtype dtype, ct_device d) {
  return producing(out, [&] {
    const auto sizes = dimensions(shape, rank);
    const auto type = scalar_type(dtype);
    const auto needed = byte_count(sizes, type);
    TORCH_CHECK_VALUE(needed == bytes, "the shape ", sizes, " needs ", needed, " bytes, got ", bytes);
    auto result = at::empty(sizes, type);
    if (bytes > 0) std::memcpy(result.mutable_data_ptr(), data, static_cast<size_t>(bytes));
    // A truth value whose byte is neither 0 nor 1 is undefined behaviour for whoever reads it.
    if (type == at::kBool) result.copy_(result.view(at::kByte).ne(0));
    return coherent::copied_to(result, device(d));
  });
}

CT_OPERATION(ct_uniform, drawn(shape, rank, dtype, generator).uniform_(low, high, generator->value),
             const int64_t *shape, int64_t rank, double low, double high, ct_dtype dtype, ct_generator *generator)
CT_OPERATION(ct_normal, drawn(shape, rank, dtype, generator).normal_(mean, deviation, generator->value),
             const int64_t *shape, int64_t rank, double mean, double deviation, ct_dtype dtype, ct_generator *generator)
CT_OPERATION(ct_bernoulli, drawn(shape, rank, dtype, generator).bernoulli_(probability, generator->value),
             const int64_t *shape, int64_t rank, double probability, ct_dtype dtype, ct_generator *generator)

int64_t ct_rank(const ct_tensor *t) { return t->value.dim(); }
int64_t ct_size(const ct_tensor *t, int64_t dimension) {
  return dimension >= 0 && dimension < t->value.dim() ? t->value.sizes()[dimension] : 0;
}
int64_t ct_stride(const ct_tensor *t, int64_t dimension) {
  return dimension >= 0 && dimension < t->value.dim() ? t->value.strides()[dimension] : 0;
}
int64_t ct_element_count(const ct_tensor *t) { return t->value.numel(); }
ct_status *ct_dtype_of(ct_dtype *out, const ct_tensor *t) {
  return guarded([&] { *out = coherent::dtype_of(t->value.scalar_type()); });
}
ct_device ct_device_of(const ct_tensor *t) {
  const auto d = t->value.device();
  return {d.is_cuda() ? CT_CUDA : CT_CPU, d.has_index() ? d.index() : 0};
}
bool ct_is_contiguous(const ct_tensor *t) { return t->value.is_contiguous(); }
bool ct_requires_gradient(const ct_tensor *t) { return t->value.requires_grad(); }
ct_status *ct_set_requires_gradient(ct_tensor *t, bool value) {
  return guarded([&] { t->value.set_requires_grad(value); });
}

ct_status *ct_data(void **out, const ct_tensor *t) {
  return guarded([&] {
    TORCH_CHECK_VALUE(t->value.device().is_cpu() && t->value.is_contiguous(),
                      "direct access needs a contiguous CPU tensor");
    *out = t->value.numel() == 0 ? nullptr : t->value.data_ptr();
  });
}

ct_status *ct_copy_to_bytes(const ct_tensor *t, void *data, int64_t bytes) {
  return guarded([&] {
    // Before any copy: an expanded view can claim more elements than there is memory.
    const auto needed = byte_count(t->value.sizes(), t->value.scalar_type());
    TORCH_CHECK_VALUE(needed == bytes, "the tensor holds ", needed, " bytes, not ", bytes);
    const auto host = t->value.detach().to(at::kCPU).contiguous();
    if (bytes > 0) std::memcpy(data, host.const_data_ptr(), static_cast<size_t>(bytes));
  });
}

ct_status *ct_item(double *out, const ct_tensor *t) {
  return guarded([&] { *out = t->value.item().toDouble(); });
}
ct_status *ct_item_integer(int64_t *out, const ct_tensor *t) {
  return guarded([&] { *out = t->value.item().toLong(); });
}

CT_OPERATION(ct_clone, t->value.clone(), const ct_tensor *t)
CT_OPERATION(ct_channels_last, t->value.contiguous(at::MemoryFormat::ChannelsLast), const ct_tensor *t)
CT_OPERATION(ct_contiguous, t->value.contiguous(), const ct_tensor *t)
CT_OPERATION(ct_to, t->value.to(device(d), scalar_type(dtype)), const ct_tensor *t, ct_dtype dtype, ct_device d)
ct_status *ct_copy_into(const ct_tensor *destination, const ct_tensor *source) {
  return guarded([&] {
    TORCH_CHECK_VALUE(destination->value.sizes() == source->value.sizes(), "cannot copy shape ",
                      source->value.sizes(), " into shape ", destination->value.sizes());
    at::NoGradGuard no_grad;
    at::Tensor(destination->value).copy_(source->value);
  });
}
ct_status *ct_fill(const ct_tensor *t, double value) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    at::Tensor(t->value).fill_(value);
  });
}

CT_OPERATION(ct_detach, t->value.detach(), const ct_tensor *t)
CT_OPERATION(ct_reshape, t->value.reshape(dimensions(shape, rank)),
             const ct_tensor *t, const int64_t *shape, int64_t rank)
CT_OPERATION(ct_expand, t->value.expand(dimensions(shape, rank)),
             const ct_tensor *t, const int64_t *shape, int64_t rank)
CT_OPERATION(ct_transpose, t->value.transpose(first, second), const ct_tensor *t, int64_t first, int64_t second)
CT_OPERATION(ct_permute, t->value.permute(dimensions(order, rank)),
             const ct_tensor *t, const int64_t *order, int64_t rank)
CT_OPERATION(ct_narrow, t->value.narrow(dimension, start, length),
             const ct_tensor *t, int64_t dimension, int64_t start, int64_t length)
CT_OPERATION(ct_select, t->value.select(dimension, index), const ct_tensor *t, int64_t dimension, int64_t index)
CT_OPERATION(ct_unsqueeze, t->value.unsqueeze(dimension), const ct_tensor *t, int64_t dimension)
CT_OPERATION(ct_squeeze, t->value.squeeze(dimension), const ct_tensor *t, int64_t dimension)

ct_status *ct_concatenate(ct_tensor **out, const ct_tensor *const *tensors, int64_t count, int64_t dimension) {
  return producing(out, [&] {
    std::vector<at::Tensor> list;
    for (int64_t i = 0; i < count; ++i) list.push_back(tensors[i]->value);
    return at::cat(list, dimension);
  });
}
CT_OPERATION(ct_index_select, t->value.index_select(dimension, indices->value),
             const ct_tensor *t, int64_t dimension, const ct_tensor *indices)
ct_status *ct_index_add(ct_tensor **out, int64_t rows, const ct_tensor *indices, const ct_tensor *source) {
  return producing(out, [&] {
    auto shape = source->value.sizes().vec();
    TORCH_CHECK_VALUE(!shape.empty(), "a scalar has no slices to add");
    shape[0] = rows;
    return at::zeros(shape, source->value.options()).index_add_(0, indices->value, source->value);
  });
}
CT_OPERATION(ct_gather, t->value.gather(dimension, indices->value),
             const ct_tensor *t, int64_t dimension, const ct_tensor *indices)
