// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <stdexcept>
#include <vector>

#include "../support.h"

namespace coherent::cuda {

// What NCCL says of a call that it could not carry out.
struct NcclError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// One rank's part of a group of GPUs, over NCCL. Calls return once they are done.
class Nccl {
 public:
  // Called now and then while others are waited for; what it throws gives the call up, and the connection with it.
  using Watch = std::function<void()>;

  // The library's functions; a null pointer where it is not installed.
  static const ct_nccl *library();
  // What tells a GPU from every other one of any host.
  static std::string place(const at::Device &device);
  // What the ranks of a group have in common, made by one of them: text.
  static std::string new_id(const ct_nccl &functions);

  // Waits for the other ranks.
  Nccl(const ct_nccl &functions, const at::Device &device, int rank, int count, const std::string &id, const Watch &watch);
  ~Nccl();
  Nccl(const Nccl &) = delete;
  Nccl &operator=(const Nccl &) = delete;

  bool is_for(const at::Device &other) const { return other == device; }

  // As the functions of ct_collectives.h have it; numbers of bytes.
  void exchange(const at::Tensor &target, const at::Tensor &source, const std::vector<int64_t> &received,
                const std::vector<int64_t> &sent, const Watch &watch);
  void gather(const at::Tensor &target, const at::Tensor &shard, const Watch &watch);
  void broadcast(const at::Tensor &tensor, const Watch &watch);

 private:
  // Ends the connection without a word to the other ranks, which may be lost; all calls that succeeded are done.
  void abort();
  template <typename Call>
  void run(const Watch &watch, const Call &call);
  void await(const Watch &watch);

  const ct_nccl &functions;
  const at::Device device;
  const int count;
  void *communicator = nullptr;
};

}  // namespace coherent::cuda
