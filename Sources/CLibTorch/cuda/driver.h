// SPDX-License-Identifier: Apache-2.0
//
// NVIDIA's driver by its C interface, which is stable: found when it is first wanted.
#pragma once

#include <dlfcn.h>

#include <map>
#include <mutex>
#include <string>

#include "../support.h"

namespace coherent::cuda {

// A library's function; throws where it has none of that name.
template <typename Function>
Function *found(void *library, const char *name) {
  auto *function = reinterpret_cast<Function *>(dlsym(library, name));
  TORCH_CHECK(function != nullptr, "there is no ", name, " in a library of CUDA");
  return function;
}

// The driver's part: contexts, modules, launches.
class Driver {
 public:
  static const Driver &shared() {
    static const Driver driver;
    return driver;
  }

  // Runs the body with the context that libtorch has on a device.
  template <typename Body>
  void in_context(int index, const Body &body) const {
    require(push(context(index)));
    try {
      body();
    } catch (...) {
      void *popped = nullptr;
      pop(&popped);
      throw;
    }
    void *popped = nullptr;
    require(pop(&popped));
  }

  std::string architecture(int index) const {
    constexpr int major_version = 75, minor_version = 76;
    int device = 0, major = 0, minor = 0;
    require(handle(&device, index));
    require(attribute(&major, major_version, device));
    require(attribute(&minor, minor_version, device));
    return "sm_" + std::to_string(major) + std::to_string(minor);
  }

  // Where on its host's bus a device is: no other device of the host is there.
  std::string slot(int index) const {
    int device = 0;
    char text[64] = {};
    require(handle(&device, index));
    require(bus_address(text, sizeof text, device));
    return text;
  }

  void require(int status) const {
    const char *text = nullptr;
    if (status != 0) words(status, &text);
    TORCH_CHECK(status == 0, "CUDA: ", text != nullptr ? text : std::to_string(status).c_str());
  }

  int (*load)(void **, const void *) = found<int(void **, const void *)>(library(), "cuModuleLoadData");
  int (*function)(void **, void *, const char *) =
      found<int(void **, void *, const char *)>(library(), "cuModuleGetFunction");
  using Launch = int(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **,
                     void **);
  Launch *launch = found<Launch>(library(), "cuLaunchKernel");

 private:
  // What may be asked for before libtorch has asked for anything.
  Driver() { require(found<int(unsigned)>(library(), "cuInit")(0)); }

  // Of this device alone: retaining it would take memory on the others.
  void *context(int index) const {
    const std::lock_guard lock(mutex);
    const auto [entry, is_new] = contexts.try_emplace(index, nullptr);
    if (entry->second == nullptr) {
      int device = 0;
      require(handle(&device, index));
      require(retain(&entry->second, device));
    }
    return entry->second;
  }

  static void *library() {
    void *found = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
    TORCH_CHECK(found != nullptr, "NVIDIA's driver, libcuda.so.1, is not installed");
    return found;
  }

  int (*push)(void *) = found<int(void *)>(library(), "cuCtxPushCurrent_v2");
  int (*pop)(void **) = found<int(void **)>(library(), "cuCtxPopCurrent_v2");
  int (*attribute)(int *, int, int) = found<int(int *, int, int)>(library(), "cuDeviceGetAttribute");
  int (*words)(int, const char **) = found<int(int, const char **)>(library(), "cuGetErrorString");
  int (*handle)(int *, int) = found<int(int *, int)>(library(), "cuDeviceGet");
  int (*bus_address)(char *, int, int) = found<int(char *, int, int)>(library(), "cuDeviceGetPCIBusId");
  int (*retain)(void **, int) = found<int(void **, int)>(library(), "cuDevicePrimaryCtxRetain");
  mutable std::mutex mutex;
  mutable std::map<int, void *> contexts;
};

}  // namespace coherent::cuda
