// SPDX-License-Identifier: Apache-2.0
//
// NCCL by its interface in C, which is stable: nothing of CUDA is needed to build this package.

#include "nccl.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

#include "driver.h"

using namespace std::chrono_literals;

namespace coherent::cuda {
namespace {

constexpr int success = 0, in_progress = 7;
// Everything goes as bytes: nothing is added up on the way.
constexpr int type_of_bytes = 1;

const char *hexadecimal = "0123456789abcdef";

std::string text(const ct_nccl_id &id) {
  std::string result;
  for (const char byte : id.bytes) {
    result += hexadecimal[static_cast<unsigned char>(byte) >> 4];
    result += hexadecimal[static_cast<unsigned char>(byte) & 15];
  }
  return result;
}

ct_nccl_id identifier(const std::string &text) {
  ct_nccl_id id{};
  const std::string digits = hexadecimal;
  for (size_t i = 0; i < sizeof id.bytes && 2 * i + 1 < text.size(); ++i) {
    const size_t high = digits.find(text[2 * i]), low = digits.find(text[2 * i + 1]);
    if (high == digits.npos || low == digits.npos) throw NcclError("rank 0 gave no identifier of NCCL's");
    id.bytes[i] = static_cast<char>(high << 4 | low);
  }
  return id;
}

void *stream_of(const at::Device &device) {
  if (!device.is_cuda()) return nullptr;
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
}

// What a call on a thread of its own comes to.
struct Outcome {
  std::mutex mutex;
  std::condition_variable wakes;
  bool is_done = false, is_given_up = false;
  std::exception_ptr error;
};

// Runs a call that may wait for other ranks for ever on a thread of its own. If `watch` throws, the call is given up: the
// thread goes on with what the call holds, until somebody's abort lets it end, and `clean` is called after it.
template <typename Call, typename Clean>
void patiently(const at::Device &device, const Nccl::Watch &watch, const Call &call, const Clean &clean) {
  const auto outcome = std::make_shared<Outcome>();
  std::thread([=] {
    std::exception_ptr error;
    // Nothing may be thrown past the thread.
    try {
      const c10::OptionalDeviceGuard guard(device.is_cuda() ? std::optional(device) : std::nullopt);
      call();
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(outcome->mutex);
    outcome->is_done = true;
    outcome->error = error;
    if (outcome->is_given_up) clean();
    outcome->wakes.notify_all();
  }).detach();
  std::unique_lock lock(outcome->mutex);
  while (!outcome->wakes.wait_for(lock, 20ms, [&] { return outcome->is_done; })) {
    try {
      watch();
    } catch (...) {
      outcome->is_given_up = true;
      throw;
    }
  }
  if (outcome->error) std::rethrow_exception(outcome->error);
}

void require(const ct_nccl &functions, int code) {
  if (code != success) throw NcclError(std::string("NCCL: ") + functions.GetErrorString(code));
}

}  // namespace

const ct_nccl *Nccl::library() {
  static const std::optional<ct_nccl> functions = []() -> std::optional<ct_nccl> {
    void *library = nullptr;
    // Wherever the loader looks, where libtorch_cuda may have loaded it already, and where torch's packages keep it.
    for (const auto &path : {std::string("libnccl.so.2"), library_folder() + "/../../nvidia/nccl/lib/libnccl.so.2"}) {
      if (library == nullptr) library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    }
    if (library == nullptr) return std::nullopt;
    ct_nccl all{};
    const auto find = [library]<typename Function>(const char *name, Function *&function) {
      function = found<Function>(library, name);
    };
    try {
      find("ncclGetUniqueId", all.GetUniqueId);
      find("ncclCommInitRank", all.CommInitRank);
      find("ncclCommAbort", all.CommAbort);
      find("ncclCommGetAsyncError", all.CommGetAsyncError);
      find("ncclGetErrorString", all.GetErrorString);
      find("ncclGroupStart", all.GroupStart);
      find("ncclGroupEnd", all.GroupEnd);
      find("ncclSend", all.Send);
      find("ncclRecv", all.Recv);
      find("ncclAllGather", all.AllGather);
      find("ncclBroadcast", all.Broadcast);
    } catch (const c10::Error &) {
      return std::nullopt;
    }
    return all;
  }();
  return functions ? &*functions : nullptr;
}

std::string Nccl::place(const at::Device &device) {
  std::string slot;
  try {
    slot = Driver::shared().slot(device.index());
  } catch (const c10::Error &) {
    return "";
  }
  // Names of hosts may be alike; what a kernel drew when it was started is not.
  std::string host;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), host);
  if (host.empty()) {
    char name[256] = {};
    gethostname(name, sizeof name - 1);
    host = name;
  }
  return host + "/" + slot;
}

std::string Nccl::new_id(const ct_nccl &functions) {
  ct_nccl_id id{};
  require(functions, functions.GetUniqueId(&id));
  return text(id);
}

Nccl::Nccl(const ct_nccl &functions, const at::Device &device, int rank, int count, const std::string &id,
           const Watch &watch)
    : functions(functions), device(device), count(count) {
  const auto made = std::make_shared<void *>(nullptr);
  patiently(
      device, watch,
      [=, functions = &functions] { require(*functions, functions->CommInitRank(made.get(), count, identifier(id), rank)); },
      [=, functions = &functions] {
        if (*made != nullptr) functions->CommAbort(*made);
      });
  communicator = *made;
}

Nccl::~Nccl() { abort(); }

void Nccl::abort() {
  if (communicator != nullptr) functions.CommAbort(communicator);
  communicator = nullptr;
}

void Nccl::await(const Watch &watch) {
  std::optional<c10::Event> event;
  if (device.is_cuda()) {
    event.emplace(device.type());
    event->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  }
  for (int round = 0;; ++round) {
    int code = success;
    require(functions, functions.CommGetAsyncError(communicator, &code));
    if (code != in_progress) require(functions, code);
    if (code == success && (!event || event->query())) return;
    if (round < 1000) {
      std::this_thread::yield();
      continue;
    }
    watch();
    std::this_thread::sleep_for(50us);
  }
}

template <typename Call>
void Nccl::run(const Watch &watch, const Call &call) {
  if (communicator == nullptr) throw NcclError("NCCL was given up after an error");
  const c10::OptionalDeviceGuard guard(device.is_cuda() ? std::optional(device) : std::nullopt);
  void *stream = stream_of(device);
  try {
    // The first exchange with a rank waits until that one takes part.
    patiently(device, watch, [=, communicator = communicator] { call(communicator, stream); }, [] {});
    await(watch);
  } catch (...) {
    // Else the device would wait for ever, and everything that comes after it.
    abort();
    throw;
  }
}

void Nccl::exchange(const at::Tensor &target, const at::Tensor &source, const std::vector<int64_t> &received,
                    const std::vector<int64_t> &sent, const Watch &watch) {
  run(watch, [=, count = count, functions = &functions](void *communicator, void *stream) {
    const char *from = static_cast<const char *>(source.const_data_ptr());
    char *to = static_cast<char *>(target.mutable_data_ptr());
    require(*functions, functions->GroupStart());
    for (int r = 0; r < count; ++r) {
      const auto out = static_cast<size_t>(sent[r]), in = static_cast<size_t>(received[r]);
      if (out > 0) require(*functions, functions->Send(from, out, type_of_bytes, r, communicator, stream));
      if (in > 0) require(*functions, functions->Recv(to, in, type_of_bytes, r, communicator, stream));
      from += out;
      to += in;
    }
    require(*functions, functions->GroupEnd());
  });
}

void Nccl::gather(const at::Tensor &target, const at::Tensor &shard, const Watch &watch) {
  run(watch, [=, functions = &functions](void *communicator, void *stream) {
    require(*functions, functions->AllGather(shard.const_data_ptr(), target.mutable_data_ptr(), shard.nbytes(),
                                             type_of_bytes, communicator, stream));
  });
}

void Nccl::broadcast(const at::Tensor &tensor, const Watch &watch) {
  run(watch, [=, functions = &functions](void *communicator, void *stream) {
    void *data = tensor.mutable_data_ptr();
    require(*functions, functions->Broadcast(data, data, tensor.nbytes(), type_of_bytes, 0, communicator, stream));
  });
}

}  // namespace coherent::cuda
