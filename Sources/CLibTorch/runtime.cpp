// SPDX-License-Identifier: Apache-2.0

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>
#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <caffe2/core/common.h>
#include <dlfcn.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <climits>

#include "support.h"

using coherent::copied;
using coherent::guarded;

char *coherent::copied(const std::string &text) {
  char *result = strdup(text.c_str());
  if (result == nullptr) throw std::bad_alloc();
  return result;
}

std::string coherent::library_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void *>(&at::show_config), &info) == 0 || info.dli_fname == nullptr) return "";
  const std::string path = info.dli_fname;
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

namespace {

// libtorch checks the size of a CPU generator's state and the range of each of its counters, but not that they belong
// together: "next" of the 624 words and "left" before they are drawn anew. Reading past the words would follow.
void check_twister(const at::Tensor &state) {
  struct Head {
    uint64_t seed;
    int32_t left, seeded;
    uint64_t next;
  } head;
  TORCH_CHECK_TYPE(state.scalar_type() == at::kByte && state.is_contiguous() && state.is_cpu() &&
                       state.nbytes() >= sizeof head,
                   "a generator state is a list of bytes");
  std::memcpy(&head, state.const_data_ptr(), sizeof head);
  TORCH_CHECK_VALUE(head.left >= 1 && head.left <= 624 && head.next <= 624 && head.next + head.left <= 625,
                    "the state of the random generator is damaged");
}

// Loads libtorch_cuda: beside torch_cpu, or wherever the loader finds it. Empty when it is there, else why it is not.
std::string load_cuda_library() {
#if defined(__linux__)
  const char *name = "libtorch_cuda.so";
  const std::string folder = coherent::library_folder(), beside = folder + "/" + name;
  const bool is_beside = access(beside.c_str(), F_OK) == 0;
  if (dlopen(is_beside ? beside.c_str() : name, RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char *words = dlerror();
    const std::string error = words != nullptr ? words : "the loader does not say why";
    if (!is_beside && error.rfind(std::string(name) + ":", 0) == 0) {
      return "there is no " + std::string(name) + " in " + folder + ": this libtorch is for processors alone";
    }
    return (is_beside ? beside : name) + " cannot be loaded: " + error;
  }
#endif
  // hasCUDA() is about devices; this is about the library.
  if (at::detail::getCUDAHooks().hasCUDART()) {
    // float32 is float32 in every product, sums of bfloat16 products are float32, and cuDNN repeats its bits.
    auto &context = at::globalContext();
    context.setAllowTF32CuBLAS(false);
    context.setAllowTF32CuDNN(false);
    context.setAllowBF16ReductionCuBLAS(false);
    context.setBenchmarkCuDNN(false);
    context.setDeterministicCuDNN(true);
    return "";
  }
  return "libtorch was asked about CUDA before libtorch_cuda was loaded, and keeps its answer; ask for the CUDA devices "
         "before anything else";
}

// Why the runtime finds no device: "no CUDA-capable device is detected", "CUDA driver version is insufficient ...".
std::string cuda_runtime_error() {
  if (dlopen("libcuda.so.1", RTLD_LAZY) == nullptr) return "NVIDIA's driver, libcuda.so.1, is not installed";
  using Count = int (*)(int *);
  using Text = const char *(*)(int);
  const auto count = reinterpret_cast<Count>(dlsym(RTLD_DEFAULT, "cudaGetDeviceCount"));
  const auto text = reinterpret_cast<Text>(dlsym(RTLD_DEFAULT, "cudaGetErrorString"));
  int devices = 0;
  const int error = count != nullptr ? count(&devices) : 0;
  return error != 0 && text != nullptr ? text(error) : "no device is found";
}

}  // namespace

namespace coherent {

// libtorch keeps the answer to the first question about CUDA for good, and other calls of its own ask too: so every
// question comes here first, and computing on the CPU, which asks none, does without the 0.2 s that loading takes.
const std::string &cuda_library_problem() {
  static const std::string problem = load_cuda_library();
  return problem;
}

int cuda_device_count() {
  if (!cuda_library_problem().empty()) return 0;
  return at::detail::getCUDAHooks().deviceCount();
}

std::string cuda_problem() {
  if (!cuda_library_problem().empty()) return cuda_library_problem();
  return cuda_device_count() > 0 ? "" : "libtorch_cuda is loaded, but has no device: " + cuda_runtime_error();
}

void parallel_for_each(int64_t count, const std::function<void(int64_t)> &body) {
  if (count <= 0) return;
  if (count == 1 || at::get_num_threads() == 1 || at::in_parallel_region()) {
    for (int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  // The elements of `index` are their own numbers, which is how a tile learns which one it is.
  at::NoGradGuard no_grad;
  auto index = at::arange(count, at::kLong);
  auto iterator = at::TensorIterator::nullary_op(index);
  iterator.for_each(
      [&](char **data, const int64_t *strides, int64_t n) {
        for (int64_t i = 0; i < n; ++i) body(*reinterpret_cast<const int64_t *>(data[0] + i * strides[0]));
      },
      /*grain_size=*/1);
}

}  // namespace coherent

const char *ct_compiled_version(void) { return TORCH_VERSION; }

ct_status *ct_loaded_description(char **out) {
  return guarded([&] {
    coherent::cuda_library_problem();  // the description asks about CUDA
    *out = copied(at::show_config());
  });
}

ct_status *ct_loaded_version(char **out) {
  return guarded([&] {
    const auto &options = caffe2::GetBuildOptions();
    const auto version = options.find("TORCH_VERSION");
    *out = version == options.end() ? nullptr : copied(version->second);
  });
}

void ct_string_free(char *string) { free(string); }

ct_status *ct_library_path(char **out) {
  return guarded([&] { *out = copied(coherent::library_folder()); });
}

ct_status *ct_cpu_capability(char **out) {
  return guarded([&] { *out = copied(at::get_cpu_capability()); });
}

int32_t ct_thread_count(void) { return at::get_num_threads(); }

ct_status *ct_set_thread_count(int32_t count) {
  return guarded([&] {
    // OpenMP ends the process when the system refuses it a thread.
    constexpr int32_t most = 1024;
    TORCH_CHECK_VALUE(count >= 1 && count <= most, "the thread count must be 1 to ", most, ", not ", count);
    at::set_num_threads(count);
  });
}

ct_status *ct_cuda_device_count(int32_t *out) {
  return guarded([&] { *out = coherent::cuda_device_count(); });
}

ct_status *ct_cuda_problem(char **out) {
  return guarded([&] {
    const auto problem = coherent::cuda_problem();
    *out = problem.empty() ? nullptr : copied(problem);
  });
}

ct_status *ct_cuda_synchronize(ct_device d) {
  return guarded([&] {
    const auto device = coherent::device(d);
    if (device.is_cuda()) c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
  });
}

int64_t ct_peak_resident_bytes(void) {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#if defined(__APPLE__)
  return usage.ru_maxrss;
#else
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
#endif
}

double ct_processor_seconds(void) {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  const auto seconds = [](const timeval &time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

ct_status *ct_generator_create(ct_generator **out, ct_device d, uint64_t seed) {
  return guarded([&] {
    const auto device = coherent::device(d);
    auto generator = device.is_cpu() ? at::make_generator<at::CPUGeneratorImpl>(seed)
                                     : at::globalContext().defaultGenerator(device).clone();
    generator.set_current_seed(seed);
    *out = new ct_generator(std::move(generator));
  });
}

void ct_generator_free(ct_generator *generator) { delete generator; }

ct_status *ct_generator_get_state(ct_tensor **out, const ct_generator *generator) {
  return coherent::producing(out, [&] { return generator->value.get_state(); });
}

ct_status *ct_generator_set_state(ct_generator *generator, const ct_tensor *state) {
  return guarded([&] {
    if (generator->value.device().is_cpu()) check_twister(state->value);
    generator->value.set_state(state->value);
  });
}

bool ct_keep_freed_memory(void) {
#if defined(__GLIBC__)
  // Every block comes from the heap, and its end is never cut off.
  // Without the bins for small chunks, which every free of a large one would walk.
  return mallopt(M_MMAP_MAX, 0) == 1 && mallopt(M_TRIM_THRESHOLD, INT_MAX) == 1 && mallopt(M_MXFAST, 0) == 1;
#else
  return false;
#endif
}
