// SPDX-License-Identifier: Apache-2.0
//
// Compiles kernels.cu by NVRTC and launches it by the driver, both found when they are first wanted: nothing of CUDA is
// needed to build this package. Their C interfaces are stable, and declared here as far as they are used.

#include "kernels.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "../kernels/adam.h"
#include "driver.h"

namespace coherent::cuda {
namespace {

const unsigned char text[] = {
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wc23-extensions"
#embed "kernels.cu"
#pragma clang diagnostic pop
    , 0};

// As kernels.cu has it.
struct Step {
  float rate, momentum, fresh, decay;
  int nesterov, is_first;

  explicit Step(const ct_sgd_options &o)
      : rate(o.learning_rate), momentum(o.momentum), fresh(1 - o.dampening), decay(o.weight_decay),
        nesterov(o.nesterov), is_first(o.first_step) {}
};
static_assert(sizeof(Step) == 24 && sizeof(AdamStep<float>) == 36);

// NVRTC, CUDA's compiler in a library, as torch's own packages bring it.
class Compiler {
 public:
  static const Compiler &shared() {
    static const Compiler compiler;
    return compiler;
  }

  // The text as code for an architecture.
  std::string code(const std::string &architecture, const std::vector<std::string> &definitions) const {
    std::vector<std::string> words{"--gpu-architecture=" + architecture, "--std=c++17"};
    for (const auto &definition : definitions) words.push_back("-D" + definition);
    std::vector<const char *> options;
    for (const auto &word : words) options.push_back(word.c_str());
    void *program = nullptr;
    require(create(&program, reinterpret_cast<const char *>(text), "kernels.cu", 0, nullptr, nullptr), "");
    const std::unique_ptr<void *, void (*)(void **)> owner(&program, [](void **p) { shared().destroy(p); });
    const int status = compile(program, static_cast<int>(options.size()), options.data());
    size_t size = 0;
    std::string log;
    if (status != 0 && log_size(program, &size) == 0 && size > 1) {
      log.resize(size);
      read_log(program, log.data());
    }
    require(status, log);
    require(code_size(program, &size), "");
    std::string result(size, '\0');
    require(read_code(program, result.data()), "");
    return result;
  }

 private:
  using Read = int(void *, char *);
  using Size = int(void *, size_t *);

  void *library = opened();
  int (*create)(void **, const char *, const char *, int, const char *const *, const char *const *) =
      found<int(void **, const char *, const char *, int, const char *const *, const char *const *)>(
          library, "nvrtcCreateProgram");
  int (*compile)(void *, int, const char *const *) =
      found<int(void *, int, const char *const *)>(library, "nvrtcCompileProgram");
  int (*destroy)(void **) = found<int(void **)>(library, "nvrtcDestroyProgram");
  Size *code_size = found<Size>(library, "nvrtcGetCUBINSize"), *log_size = found<Size>(library, "nvrtcGetProgramLogSize");
  Read *read_code = found<Read>(library, "nvrtcGetCUBIN"), *read_log = found<Read>(library, "nvrtcGetProgramLog");
  const char *(*words)(int) = found<const char *(int)>(library, "nvrtcGetErrorString");

  // Wherever the loader looks, and where torch's package keeps it: in the folder of packages beside its own.
  static void *opened() {
    const std::string packages = library_folder() + "/../../nvidia/";
    for (const auto &[name, folder] : {std::pair{"libnvrtc.so.13", "cu13/lib/"}, {"libnvrtc.so.12", "cuda_nvrtc/lib/"}}) {
      for (const auto &path : {std::string(name), packages + folder + name}) {
        void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) continue;
        open_builtins(library);
        return library;
      }
    }
    TORCH_CHECK(false, "there is no libnvrtc.so.13 or .12; it comes with: pip install nvidia-cuda-nvrtc");
  }

  // A part that it asks the loader for by name, and that lies beside it, where the loader may not look.
  static void open_builtins(void *library) {
    auto *version = found<int(int *, int *)>(library, "nvrtcVersion");
    int major = 0, minor = 0;
    version(&major, &minor);
    Dl_info info{};
    if (dladdr(reinterpret_cast<void *>(version), &info) == 0 || info.dli_fname == nullptr) return;
    const std::string path = info.dli_fname, folder = path.substr(0, path.rfind('/') + 1);
    const std::string number = std::to_string(major) + "." + std::to_string(minor);
    dlopen((folder + "libnvrtc-builtins.so." + number).c_str(), RTLD_NOW | RTLD_GLOBAL);
  }

  void require(int status, const std::string &log) const {
    TORCH_CHECK(status == 0, "the kernels for GPUs cannot be compiled: ", words(status), log.empty() ? "" : "\n", log);
  }
};

std::atomic<int64_t> launches{0};

// A kernel of the text compiled with some definitions, on one device. What could not be compiled is not tried again.
void *loaded(const at::Device &device, const char *name, const std::vector<std::string> &definitions) {
  struct Module {
    void *handle = nullptr;
    std::string problem;
  };
  static std::mutex mutex;
  static std::map<std::pair<int, std::string>, Module> modules;
  const std::lock_guard lock(mutex);
  std::string key;
  for (const auto &definition : definitions) key += definition + " ";
  const auto [entry, is_new] = modules.try_emplace({device.index(), key});
  Module &module = entry->second;
  if (is_new) {
    try {
      const Driver &driver = Driver::shared();
      const std::string code = Compiler::shared().code(driver.architecture(device.index()), definitions);
      driver.in_context(device.index(), [&] { driver.require(driver.load(&module.handle, code.data())); });
    } catch (const c10::Error &e) {
      module.problem = e.what_without_backtrace();
    }
  }
  TORCH_CHECK(module.handle != nullptr, module.problem);
  void *result = nullptr;
  const Driver &driver = Driver::shared();
  driver.in_context(device.index(), [&] { driver.require(driver.function(&result, module.handle, name)); });
  return result;
}

// The same, and a null pointer with a warning where that cannot be done: libtorch's own operations remain.
void *kernel(const at::Device &device, const char *name, const std::vector<std::string> &definitions) {
  try {
    return loaded(device, name, definitions);
  } catch (const c10::Error &e) {
    TORCH_WARN_ONCE("our own kernels are not used: ", e.what_without_backtrace());
    return nullptr;
  }
}

struct Grid {
  unsigned x = 1, y = 1, block_x = 256, block_y = 1;
};

// Blocks for so many coordinates, each thread of which may have several.
Grid over(int64_t count) { return {static_cast<unsigned>(std::clamp<int64_t>((count + 255) / 256, 1, 8192))}; }

// On the stream that libtorch uses there: what it has begun before is done before.
template <typename... Arguments>
void launch(void *function, const at::Device &device, const Grid &grid, Arguments... arguments) {
  void *list[] = {&arguments...};
  const auto stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  const Driver &driver = Driver::shared();
  driver.in_context(device.index(), [&] {
    driver.require(driver.launch(function, grid.x, grid.y, 1, grid.block_x, grid.block_y, 1, 0, stream.native_handle(),
                                 list, nullptr));
  });
  launches += 1;
}

bool suits(std::initializer_list<const at::Tensor *> tensors) {
  const at::Device device = (*tensors.begin())->device();
  return device.is_cuda() && std::all_of(tensors.begin(), tensors.end(), [&](const at::Tensor *t) {
           return t->device() == device && t->scalar_type() == at::kFloat && t->is_contiguous();
         });
}

float *numbers(const at::Tensor &t) { return static_cast<float *>(t.data_ptr()); }
float *numbers(const std::optional<at::Tensor> &t) { return t ? numbers(*t) : nullptr; }

// Runs an update over all parameters, which sets a flag when one is not finite; `finite` is whether it did not. Reading it
// waits for the device.
template <typename... Arguments>
bool update(void *function, const at::Tensor &parameters, bool unchecked, bool &finite, Arguments... arguments) {
  if (function == nullptr) return false;
  const at::Tensor wrong = at::zeros({1}, parameters.options().dtype(at::kInt));
  const auto count = static_cast<long long>(parameters.numel());
  launch(function, parameters.device(), over(count), arguments..., wrong.data_ptr(), count);
  parameters.unsafeGetTensorImpl()->bump_version();
  finite = unchecked || wrong.item<int>() == 0;
  return true;
}

// More than these per coordinate would not stay in registers.
constexpr int64_t most_clipped = 32;

std::vector<std::string> definitions(const Clip &clip) {
  return {"LOW=" + std::to_string(clip.low), "HIGH=" + std::to_string(clip.high),
          "TRIMS=" + std::to_string(clip.trims)};
}

bool suits(const Clip &clip, std::initializer_list<int64_t> sizes) {
  return clip.low + clip.high <= most_clipped &&
         std::all_of(sizes.begin(), sizes.end(), [](int64_t size) { return size > 0 && size < (1 << 30); });
}

}  // namespace

bool sgd_step(const at::Tensor &parameters, const at::Tensor &gradient, const std::optional<at::Tensor> &velocity,
              const ct_sgd_options &options, bool &finite) {
  if (!suits({&parameters, &gradient})) return false;
  return update(kernel(parameters.device(), "sgd_step", {}), parameters, options.unchecked, finite, numbers(parameters),
                numbers(gradient), numbers(velocity), static_cast<float>(options.gradient_scale), Step(options));
}

bool adam_step(const at::Tensor &parameters, const at::Tensor &gradient, const at::Tensor &first,
               const at::Tensor &second, const ct_adam_options &options, bool &finite) {
  if (!suits({&parameters, &gradient, &first, &second})) return false;
  return update(kernel(parameters.device(), "adam_step", {}), parameters, options.unchecked, finite, numbers(parameters),
                numbers(gradient), numbers(first), numbers(second), AdamStep<float>(options));
}

bool three_gradient_step(const at::Tensor &parameters, const at::Tensor &current, const at::Tensor &previous,
                         const at::Tensor &before, const std::optional<at::Tensor> &velocity,
                         const ct_sgd_options &options, bool is_median, bool decays_before, bool &finite) {
  if (!suits({&parameters, &current, &previous, &before})) return false;
  return update(kernel(parameters.device(), "three_gradient_step", {}), parameters, options.unchecked, finite,
                numbers(parameters), numbers(current), numbers(previous), numbers(before), numbers(velocity), static_cast<int>(is_median),
                static_cast<int>(decays_before), Step(options));
}

bool row_median(const at::Tensor &target, const at::Tensor &rows) {
  const int64_t groups = rows.size(0), count = rows.size(1);
  if (!suits({&target, &rows}) || groups > most_clipped || count == 0) return false;
  void *function = kernel(target.device(), "row_median", {"GROUPS=" + std::to_string(groups)});
  if (function == nullptr) return false;
  launch(function, target.device(), over(count), numbers(target), numbers(rows), static_cast<long long>(count));
  return true;
}

bool clipped_rows(const at::Tensor &target, const at::Tensor &rows, const Clip &clip) {
  const int64_t batch = rows.size(0), width = rows.size(1);
  if (!suits({&target, &rows}) || !suits(clip, {batch, width})) return false;
  void *function = kernel(target.device(), "clipped_rows", definitions(clip));
  if (function == nullptr) return false;
  launch(function, target.device(), over(width), numbers(target), numbers(rows), static_cast<int>(batch),
         static_cast<float>(clip.scale), static_cast<long long>(width));
  return true;
}

bool clipped_outer(const at::Tensor &target, const at::Tensor &delta, const at::Tensor &input, const Clip &clip) {
  const int64_t batch = delta.size(0), out = delta.size(1), in = input.size(1);
  if (!suits({&target, &delta, &input}) || !suits(clip, {batch, out, in})) return false;
  void *function = kernel(target.device(), "clipped_outer", definitions(clip));
  if (function == nullptr) return false;
  constexpr unsigned inputs = 32, outputs = 8, most = 65535;
  const auto blocks = [](int64_t count, unsigned each) {
    return static_cast<unsigned>(std::min<int64_t>((count + each - 1) / each, most));
  };
  launch(function, target.device(), Grid{blocks(in, inputs), blocks(out, outputs), inputs, outputs}, numbers(target),
         numbers(delta), numbers(input), static_cast<int>(batch), static_cast<int>(out), static_cast<int>(in),
         static_cast<float>(clip.scale));
  return true;
}

// One of each kind.
const std::vector<std::vector<std::string>> usual = {{}, {"GROUPS=3"}, {"LOW=2", "HIGH=2", "TRIMS=0"}};

void prepare(int index) {
  const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
  const char *const names[] = {"sgd_step", "row_median", "clipped_outer"};
  for (size_t kind = 0; kind < usual.size(); ++kind) loaded(device, names[kind], usual[kind]);
}

void compile_all(const std::string &architecture) {
  for (const auto &definitions : usual) Compiler::shared().code(architecture, definitions);
}

int64_t launch_count() { return launches; }

}  // namespace coherent::cuda

ct_status *ct_cuda_prepare_kernels(int32_t device) {
  return coherent::guarded([&] {
    TORCH_CHECK_VALUE(device >= 0 && device < coherent::cuda_device_count(), "there is no device cuda:", device);
    coherent::cuda::prepare(device);
  });
}

ct_status *ct_cuda_compile_kernels(const char *architecture) {
  return coherent::guarded([&] { coherent::cuda::compile_all(architecture); });
}

int64_t ct_cuda_kernel_launches(void) { return coherent::cuda::launch_count(); }
