// SPDX-License-Identifier: Apache-2.0
//
// Groups of processes over c10d, as libtorch ships it: a TCP store for addresses and texts, gloo for tensors; for those of
// GPUs NCCL, where every rank has a GPU of its own.

#define USE_C10D_GLOO
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <cstdlib>
#include <set>

#include "cuda/nccl.h"
#include "members.h"
#include "support.h"

C10_DECLARE_int(caffe2_log_level);

#if defined(__x86_64__) && defined(__GLIBCXX__)
// The sizes with gloo's own headers, which libtorch was built with: another torch may need other declarations of gloo.
static_assert(sizeof(c10d::ProcessGroupGloo) == 488 && sizeof(c10d::ProcessGroupGloo::Options) == 176 &&
              sizeof(c10d::ProcessGroupGloo::AsyncWork) == 784);
#endif

namespace coherent {
namespace {

// libtorch's settings that have to stand before anything of c10d's runs.
const ct_group_options &prepared(const ct_group_options &options) {
  // c10d tells of every attempt to connect on stderr.
  FLAGS_caffe2_log_level = 3;
  // Its recorder of past calls costs a stack trace for each, and is no good to several groups in one process: it looks
  // groups up before it takes its lock (FlightRecorder::recordWithResetEnabled).
  [[maybe_unused]] static const int once = setenv("TORCH_FR_BUFFER_SIZE", "0", 0);
  return options;
}

}  // namespace
}  // namespace coherent

// A rank's place in its group.
struct ct_group {
  explicit ct_group(const ct_group_options &options)
      : members(coherent::prepared(options)), own_nccl(options.nccl) {
    auto gloo = c10d::ProcessGroupGloo::Options::create(members.timeout);
    gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(members.own_address()));
    try {
      engine = c10::make_intrusive<c10d::ProcessGroupGloo>(
          c10::make_intrusive<c10d::PrefixStore>("gloo", members.addresses()), static_cast<int>(members.rank),
          static_cast<int>(members.count), gloo);
    } catch (const std::exception &e) {
      TORCH_CHECK(false, members.explanation(e.what()));
    }
  }

  ~ct_group() {
    try {
      members.take_leave();
      // Who waits for us in a call learns of it now, while the store can still say who is gone.
      engine.reset();
      members.await_others();
    } catch (...) {
      // Somebody is gone already; so are we.
    }
    nccl.reset();
  }

  // Runs a collective call; a failure names the rank that was lost.
  template <typename Call>
  void together(const Call &call) {
    std::string reason;
    try {
      call();
      return;
    } catch (const c10::DistError &e) {
      reason = e.what_without_backtrace();
    } catch (const c10::Error &) {
      // Of the arguments, or a text that is not to come, with a message of its own.
      throw;
    } catch (const coherent::cuda::NcclError &e) {
      reason = e.what();
      // The others may wait for what will not come.
      members.tell_of_trouble(reason);
    } catch (const std::exception &e) {
      reason = e.what();
    }
    TORCH_CHECK(false, members.explanation(reason));
  }

  // Has a call fill the target from the source: between GPUs where all ranks can, else in the hosts' memory.
  template <typename Direct, typename OnHosts>
  void transfer(at::Tensor target, const at::Tensor &source, const Direct &direct, const OnHosts &on_hosts) {
    bool is_direct = false;
    together([&] { is_direct = reaches(target.device()); });
    if (is_direct) return together([&] { direct(*nccl); });
    if (target.is_cpu()) return together([&] { on_hosts(target, source); });
    const at::Tensor from = source.to(at::kCPU);
    // Of one tensor, which is sent or received, one copy.
    const at::Tensor to = target.is_same(source) ? from : at::empty_like(target, target.options().device(at::kCPU));
    together([&] { on_hosts(to, from); });
    target.copy_(to);
  }

  // Whether tensors of GPUs go by NCCL; nothing before the first one.
  std::optional<bool> is_direct() const { return way == Way::undecided ? std::nullopt : std::optional(way == Way::direct); }

  coherent::Members members;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> engine;
  // Between the GPUs; none where it cannot be had.
  std::unique_ptr<coherent::cuda::Nccl> nccl;

 private:
  // Whether tensors of a device go by NCCL: decided by all, for the first device that is asked for.
  bool reaches(const at::Device &device) {
    if (!device.is_cuda() && own_nccl == nullptr) return false;
    if (way == Way::undecided) {
      const ct_nccl *functions = own_nccl != nullptr ? own_nccl : coherent::cuda::Nccl::library();
      std::string place;
      if (functions != nullptr) {
        place = functions->place != nullptr ? functions->place : coherent::cuda::Nccl::place(device);
      }
      members.set("gpu", place);
      std::set<std::string> places;
      for (int64_t r = 0; r < members.count; ++r) places.insert(members.published("gpu", r));
      // One of them without, or two with the same.
      way = places.size() == static_cast<size_t>(members.count) && !places.contains("") ? Way::direct : Way::through_hosts;
      if (way == Way::direct) {
        if (members.rank == 0) members.set("nccl", coherent::cuda::Nccl::new_id(*functions));
        nccl = std::make_unique<coherent::cuda::Nccl>(
            *functions, device, static_cast<int>(members.rank), static_cast<int>(members.count),
            members.published("nccl", 0), members.watch());
      }
    }
    if (way != Way::direct) return false;
    if (nccl == nullptr) throw coherent::cuda::NcclError("NCCL could not connect the GPUs");
    return nccl->is_for(device);
  }

  const ct_nccl *const own_nccl;
  enum class Way { undecided, direct, through_hosts } way = Way::undecided;
};

namespace coherent {
namespace {

void check(const at::Tensor &target, const at::Tensor &source) {
  TORCH_CHECK_VALUE(target.is_contiguous() && source.is_contiguous() && target.device() == source.device() &&
                        target.scalar_type() == source.scalar_type(),
                    "processes exchange contiguous tensors of one device and type");
}

// The bytes of each rank's rows, of a tensor that has them one after the other.
std::vector<int64_t> byte_counts(const at::Tensor &tensor, const std::vector<int64_t> &rows) {
  int64_t all = 0;
  for (const int64_t n : rows) {
    TORCH_CHECK_VALUE(n >= 0 && !__builtin_add_overflow(all, n, &all), "there are no ", n, " rows");
  }
  TORCH_CHECK_VALUE(tensor.dim() > 0 && all == tensor.size(0), "a tensor of ", tensor.sizes(), " is not of ", all, " rows");
  const int64_t each = all > 0 ? static_cast<int64_t>(tensor.nbytes()) / all : 0;
  std::vector<int64_t> result;
  for (const int64_t n : rows) result.push_back(n * each);
  return result;
}

}  // namespace
}  // namespace coherent

using coherent::guarded;

ct_status *ct_group_join(ct_group **out, ct_group_options options) {
  return guarded([&] {
    TORCH_CHECK_VALUE(options.count >= 1 && options.rank >= 0 && options.rank < options.count, "rank ", options.rank,
                      " is not one of a group of ", options.count);
    TORCH_CHECK_VALUE(options.port > 0 && options.port < 65536, "the port must be from 1 to 65535, not ", options.port);
    *out = new ct_group(options);
  });
}

void ct_group_leave(ct_group *group) { delete group; }

ct_status *ct_group_exchange(ct_group *group, const ct_tensor *target, const ct_tensor *source, const int64_t *received,
                             const int64_t *sent) {
  return guarded([&] {
    const at::Tensor &to = target->value, &from = source->value;
    coherent::check(to, from);
    std::vector<int64_t> in(received, received + group->members.count), out(sent, sent + group->members.count);
    const auto bytes_in = coherent::byte_counts(to, in), bytes_out = coherent::byte_counts(from, out);
    TORCH_CHECK_VALUE(to.sizes().slice(1) == from.sizes().slice(1), "rows of ", from.sizes(), " do not fit ", to.sizes());
    group->transfer(
        to, from,
        [&](coherent::cuda::Nccl &nccl) { nccl.exchange(to, from, bytes_in, bytes_out, group->members.watch()); },
        [&](at::Tensor to, at::Tensor from) { group->engine->alltoall_base(to, from, in, out)->wait(); });
  });
}

ct_status *ct_group_gather(ct_group *group, const ct_tensor *target, const ct_tensor *shard) {
  return guarded([&] {
    coherent::check(target->value, shard->value);
    at::Tensor to = target->value.view({-1}), from = shard->value.view({-1});
    TORCH_CHECK_VALUE(to.numel() == group->members.count * from.numel(), "the target must hold ", group->members.count,
                      " shards of ", from.numel(), " numbers, not ", to.numel());
    group->transfer(
        to, from, [&](coherent::cuda::Nccl &nccl) { nccl.gather(to, from, group->members.watch()); },
        [&](at::Tensor to, at::Tensor from) { group->engine->_allgather_base(to, from)->wait(); });
  });
}

ct_status *ct_group_broadcast(ct_group *group, const ct_tensor *tensor) {
  return guarded([&] {
    coherent::check(tensor->value, tensor->value);
    group->transfer(
        tensor->value, tensor->value,
        [&](coherent::cuda::Nccl &nccl) { nccl.broadcast(tensor->value, group->members.watch()); },
        [&](at::Tensor to, at::Tensor) {
          std::vector<at::Tensor> list{to};
          group->engine->broadcast(list)->wait();
        });
  });
}

ct_status *ct_group_is_direct(bool *known, bool *direct, ct_group *group) {
  return guarded([&] {
    const auto found = group->is_direct();
    *known = found.has_value();
    *direct = found.value_or(false);
  });
}

ct_status *ct_group_barrier(ct_group *group) {
  return guarded([&] { group->together([&] { group->engine->barrier()->wait(); }); });
}

ct_status *ct_group_publish(ct_group *group, const char *key, const char *text) {
  return guarded([&] {
    group->together([&] { group->members.set(key, text); });
  });
}

ct_status *ct_group_text(ct_group *group, const char *key, int64_t rank, char **out) {
  return guarded([&] {
    TORCH_CHECK_VALUE(rank >= 0 && rank < group->members.count, "there is no rank ", rank);
    std::string found;
    group->together([&] { found = group->members.published(key, rank); });
    *out = coherent::copied(found);
  });
}
