// SPDX-License-Identifier: Apache-2.0
//
// What every file of the shim shares: the opaque types' insides, the guard at the border, conversions.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/version.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "CLibTorch.h"

#if TORCH_VERSION_MAJOR != 2 || TORCH_VERSION_MINOR != 11
#error "This package is written for libtorch 2.11: run `make setup`, or point LIBTORCH to a 2.11 build."
#endif

// A loop compiled for each vector width; the widest that the processor has is chosen when the library is loaded.
#if defined(__x86_64__)
#define CT_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CT_CLONES
#endif

#define CT_INLINE __attribute__((always_inline)) inline

namespace coherent {

// For kernels whose shape depends on the vector width: CT_VARIANTS(kernel) expands kernel(name, bytes, attribute) for each
// width, and CT_CHOSEN(kernels) is kernels_name of the widest that the processor has.
#if defined(__x86_64__)
#define CT_AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw")))
#define CT_AVX2 __attribute__((target("avx2,fma")))
#define CT_VARIANTS(kernel) \
  kernel(avx512, 64, CT_AVX512) \
  kernel(avx2, 32, CT_AVX2) \
  kernel(baseline, 16, )
#define CT_CHOSEN(kernels) \
  (coherent::has_avx512() ? kernels##_avx512 : coherent::has_avx2() ? kernels##_avx2 : kernels##_baseline)
inline bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
// Products of bytes that are added up in 32 bits, four at a time.
inline bool has_byte_products() { return __builtin_cpu_supports("avx512vnni") && has_avx512(); }
inline bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#else
#define CT_VARIANTS(kernel) kernel(baseline, 16, )
#define CT_CHOSEN(kernels) kernels##_baseline
inline bool has_byte_products() { return false; }
#endif

// Of the present thread, so that a test sees its own leak while others run beside it.
struct LiveCounters {
  int64_t tensors = 0, generators = 0, sinks = 0, slots = 0, statuses = 0, copies = 0;
};
inline constinit thread_local LiveCounters live{};

// Counts the owners of a handle type, so that tests can see a leak.
template <int64_t LiveCounters::*member>
struct Counted {
  Counted() { live.*member += 1; }
  ~Counted() { live.*member -= 1; }
  Counted(const Counted &) = delete;
  Counted &operator=(const Counted &) = delete;
};

ct_status *failure(ct_error_kind kind, const char *message) noexcept;
ct_status *current_exception() noexcept;

// The folder of the loaded libtorch; empty if the loader does not say.
std::string library_folder();

// A text that its receiver frees.
char *copied(const std::string &text);

}  // namespace coherent

struct ct_status : coherent::Counted<&coherent::LiveCounters::statuses> {
  ct_error_kind kind = CT_ERROR_INTERNAL;
  std::string message;
};

struct ct_tensor : coherent::Counted<&coherent::LiveCounters::tensors> {
  explicit ct_tensor(at::Tensor v) : value(std::move(v)) {}
  at::Tensor value;
};

struct ct_generator : coherent::Counted<&coherent::LiveCounters::generators> {
  explicit ct_generator(at::Generator g) : value(std::move(g)) {}
  at::Generator value;
};

namespace coherent {

// Where a parameter's gradient goes. Graph nodes share it, so a handle freed before the backward pass leaves nothing
// dangling.
struct Sink {
  at::Tensor destination;
  bool written = false;

  // The first write since arming overwrites, later ones add.
  void accept(const at::Tensor &gradient);
};

// What one application of a layer leaves behind for its block of the gradient matrix: its input, and after the
// backward pass the gradient at its output, one row an example.
struct FactorSlot {
  at::Tensor input, delta;
  // Takes both as soon as they are there; nothing is kept then.
  std::function<void(const at::Tensor &input, const at::Tensor &delta)> visit;
};

}  // namespace coherent

struct ct_gradient_sink : coherent::Counted<&coherent::LiveCounters::sinks> {
  explicit ct_gradient_sink(at::Tensor d) : state(std::make_shared<coherent::Sink>(std::move(d))) {}
  std::shared_ptr<coherent::Sink> state;
};

struct ct_factor_slot : coherent::Counted<&coherent::LiveCounters::slots> {
  std::shared_ptr<coherent::FactorSlot> state = std::make_shared<coherent::FactorSlot>();
};

namespace coherent {

// The border: runs the body and turns whatever it throws into a status.
template <typename Body>
ct_status *guarded(Body &&body) noexcept {
  try {
    body();
    return nullptr;
  } catch (...) {
    return current_exception();
  }
}

inline void give(ct_tensor **out, at::Tensor value) { *out = new ct_tensor(std::move(value)); }

template <typename Body>
ct_status *producing(ct_tensor **out, Body &&body) noexcept {
  return guarded([&] { give(out, body()); });
}

// A function of the shim whose result is one expression of its parameters.
#define CT_OPERATION(name, expression, ...) \
  ct_status *name(ct_tensor **out, __VA_ARGS__) { \
    return coherent::producing(out, [&] { return expression; }); \
  }

at::ScalarType scalar_type(ct_dtype dtype);
ct_dtype dtype_of(at::ScalarType type);
at::Device device(ct_device d);
std::optional<at::Tensor> optional(const ct_tensor *t);

inline at::IntArrayRef dimensions(const int64_t *values, int64_t count) {
  TORCH_CHECK_VALUE(count >= 0 && (values != nullptr || count == 0), "a list of sizes is missing");
  return {values, static_cast<size_t>(count)};
}

// The elements for reading. libtorch's const_data_ptr<T> is exported under a name that only GCC gives it.
template <typename T>
const T *read(const at::Tensor &t) {
  return static_cast<const T *>(t.const_data_ptr());
}

// A pair out of a list of numbers such as stride, padding and dilation.
inline at::IntArrayRef pair(const int64_t *values) { return {values, 2}; }

// What the kernels take as it lies in memory: contiguous float32 on the CPU.
inline bool is_plain(const at::Tensor &t) { return t.is_cpu() && t.scalar_type() == at::kFloat && t.is_contiguous(); }

// Whether there are kernels for both its type and its device: float32 or float64 on the CPU.
inline bool is_real_on_cpu(const at::Tensor &t) {
  return t.is_cpu() && (t.scalar_type() == at::kFloat || t.scalar_type() == at::kDouble);
}

// Room for `count` numbers in memory that is kept for the next time.
inline float *kept(std::vector<float> &memory, int64_t count) {
  if (int64_t(memory.size()) < count) memory.resize(count);
  return memory.data();
}
// The same in memory of this thread's, until it asks again.
inline float *scratch(int64_t count) {
  thread_local std::vector<float> memory;
  return kept(memory, count);
}

// Loads libtorch_cuda at the first call; empty when it is there, else why it is not.
const std::string &cuda_library_problem();
// The number of usable devices.
int cuda_device_count();
// Why there is none; empty when there is one.
std::string cuda_problem();

// Runs body(i) for i in 0..<count on libtorch's own thread pool: contiguous shares, one per thread. A second OpenMP
// runtime beside libtorch's would oversubscribe the cores, so its TensorIterator does the splitting.
void parallel_for_each(int64_t count, const std::function<void(int64_t)> &body);

// Numbers that are worth a task.
inline constexpr int64_t span_length = 1 << 15;

// Runs body(start, length) over spans of `count` numbers, which start at multiples of `span_length`.
template <typename Body>
void for_each_span(int64_t count, const Body &body) {
  parallel_for_each((count + span_length - 1) / span_length, [&](int64_t chunk) {
    body(chunk * span_length, std::min(span_length, count - chunk * span_length));
  });
}

// The body for a float32 or a float64 tensor: body(a number of its type).
template <typename Body>
auto with_scalar(const at::Tensor &t, const Body &body) {
  return t.scalar_type() == at::kFloat ? body(float()) : body(double());
}

}  // namespace coherent
