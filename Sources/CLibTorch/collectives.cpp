// SPDX-License-Identifier: Apache-2.0
//
// Groups of processes over c10d, as libtorch ships it: a TCP store for addresses and texts, gloo for tensors; for those of
// GPUs NCCL, where every rank has a GPU of its own.

#define USE_C10D_GLOO
#include <arpa/inet.h>
#include <netdb.h>
#include <unistd.h>

#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "cuda/nccl.h"
#include "support.h"

C10_DECLARE_int(caffe2_log_level);

using namespace std::chrono_literals;

namespace coherent {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

#if defined(__x86_64__) && defined(__GLIBCXX__)
// The sizes with gloo's own headers, which libtorch was built with: another torch may need other declarations of gloo.
static_assert(sizeof(c10d::ProcessGroupGloo) == 488 && sizeof(c10d::ProcessGroupGloo::Options) == 176 &&
              sizeof(c10d::ProcessGroupGloo::AsyncWork) == 784);
#endif

// How often a rank shows that it is alive, and how long it may be silent before it counts as lost.
constexpr milliseconds beat = 400ms, silence = 2500ms;

// The key of what rank 0 says of who has come, and what it says when all have.
constexpr const char *verdict = "verdict", *complete = "complete";

// What is said of a rank that has left before the others.
constexpr const char *ended = " has ended before the others; its own message says why";

std::vector<uint8_t> bytes(const std::string &text) { return {text.begin(), text.end()}; }
std::string text(const std::vector<uint8_t> &value) { return {value.begin(), value.end()}; }
std::string key(const char *kind, int64_t rank) { return std::string(kind) + "/" + std::to_string(rank); }
std::string seconds(milliseconds time) { return std::to_string(time.count() / 1000) + " s"; }

// The address that this host has on the way to another: not what /etc/hosts says of its own name.
std::string own_address(const std::string &host, int port) {
  addrinfo hints{}, *to = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &to);
  TORCH_CHECK_VALUE(code == 0, "there is no host ", host, ": ", gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(to, freeaddrinfo);
  const int s = socket(to->ai_family, SOCK_DGRAM, 0);
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  const bool is_known = s >= 0 && connect(s, to->ai_addr, to->ai_addrlen) == 0 &&
                        getsockname(s, reinterpret_cast<sockaddr *>(&own), &size) == 0;
  if (s >= 0) close(s);
  TORCH_CHECK_VALUE(is_known, "there is no way to the host ", host, ": ", std::strerror(errno));
  char address[NI_MAXHOST] = {};
  TORCH_CHECK_VALUE(
      getnameinfo(reinterpret_cast<sockaddr *>(&own), size, address, sizeof address, nullptr, 0, NI_NUMERICHOST) == 0,
      "the own address on the way to ", host, " is unknown");
  return address;
}

using Store = c10::intrusive_ptr<c10d::TCPStore>;

// A connection to the store, which rank 0 holds.
Store connection(const std::string &host, int port, bool is_server, milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(port);
  options.isServer = is_server;
  options.waitWorkers = false;
  options.timeout = timeout;
  return c10::make_intrusive<c10d::TCPStore>(host, options);
}

}  // namespace
}  // namespace coherent

// A rank's place in its group.
struct ct_group {
  explicit ct_group(const ct_group_options &options)
      : host(options.host), port(options.port), rank(options.rank), count(options.count), timeout(options.timeout_ms),
        own_nccl(options.nccl) {
    // c10d tells of every attempt to connect on stderr.
    FLAGS_caffe2_log_level = 3;
    // Its recorder of past calls costs a stack trace for each, and is no good to several groups in one process: it looks
    // groups up before it takes its lock (FlightRecorder::recordWithResetEnabled).
    [[maybe_unused]] static const int once = setenv("TORCH_FR_BUFFER_SIZE", "0", 0);
    open();
    try {
      store->set(coherent::key("present", rank), coherent::bytes(options.name));
      wait_for_all();
    } catch (const c10::DistError &) {
      TORCH_CHECK(false, "rank 0 left before all ranks had come; its own message says why");
    }
    auto gloo = c10d::ProcessGroupGloo::Options::create(timeout);
    gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(coherent::own_address(host, port)));
    pulse = coherent::connection(host, port, false, timeout);
    show_life();
    // From here on nothing may throw past the thread.
    heart = std::thread([this] { run_heart(); });
    try {
      engine = c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>("gloo", store),
                                                           static_cast<int>(rank), static_cast<int>(count), gloo);
    } catch (const std::exception &e) {
      const std::string reason = explanation(e.what());
      stop();
      TORCH_CHECK(false, reason);
    }
  }

  ~ct_group() {
    try {
      // Who stops because of another is not to blame.
      if (!is_innocent) store->set(coherent::key("gone", rank), coherent::bytes("1"));
      store->set(coherent::key("left", rank), coherent::bytes("1"));
      // Who waits for us in a call learns of it now, while the store can still say who is gone.
      engine.reset();
      // The store goes with rank 0, which after a failure has waited for the others already.
      const auto end = coherent::Clock::now() + 5s;
      for (int64_t r = 1; rank == 0 && !has_waited && r < count; ++r) {
        while (!store->check({coherent::key("left", r)}) && coherent::Clock::now() < end) std::this_thread::sleep_for(10ms);
      }
    } catch (...) {
      // Somebody is gone already; so are we.
    }
    nccl.reset();
    stop();
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
      tell_of_trouble(reason);
    } catch (const std::exception &e) {
      reason = e.what();
    }
    TORCH_CHECK(false, explanation(reason));
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

  // Throws once a rank is gone or silent, or the call takes longer than it may; asks no more often than every while.
  coherent::cuda::Nccl::Watch watch() {
    const auto end = coherent::Clock::now() + timeout;
    auto next = coherent::Clock::now() + coherent::beat;
    std::vector<int64_t> beats;
    auto seen = coherent::Clock::now();
    return [=, this]() mutable {
      const auto now = coherent::Clock::now();
      if (now < next) return;
      next = now + coherent::beat;
      if (now >= end) throw std::runtime_error("it took longer than " + coherent::seconds(timeout));
      if (const std::string why = trouble_of_others(); !why.empty()) throw std::runtime_error(why);
      if (!beats.empty() && now - seen < coherent::silence) return;
      std::vector<int64_t> found;
      for (int64_t r = 0; r < count; ++r) {
        found.push_back(store->add(coherent::key("beat", r), 0));
        if (!beats.empty() && r != rank && found[r] == beats[r]) throw std::runtime_error(name(r) + " is silent");
      }
      beats = found;
      seen = now;
    };
  }

  // The ranks that have ended by themselves; empty for none.
  std::string names_of_gone() {
    std::string names;
    for (int64_t r = 0; r < count; ++r) {
      if (r != rank && store->check({coherent::key("gone", r)})) names += (names.empty() ? "" : ", ") + name(r);
    }
    return names;
  }

  // What other ranks say of themselves: that they have ended, or cannot go on; empty for nothing.
  std::string trouble_of_others() {
    if (const std::string gone = names_of_gone(); !gone.empty()) return gone + coherent::ended;
    for (int64_t r = 0; r < count; ++r) {
      const std::string key = coherent::key("trouble", r);
      if (r != rank && store->check({key})) return name(r) + ": " + coherent::text(store->get(key));
    }
    return "";
  }

  void tell_of_trouble(const std::string &reason) {
    try {
      store->set(coherent::key("trouble", rank), coherent::bytes(reason));
    } catch (const std::exception &) {
      // With rank 0 the store is gone, and they know.
    }
  }

  // What a rank published, once it has: it may end before.
  std::string published(const char *key, int64_t r) {
    const std::string full = coherent::key(key, r);
    const auto end = coherent::Clock::now() + timeout;
    while (!store->check({full})) {
      const std::string why = trouble_of_others();
      if (!why.empty()) is_innocent = true;
      TORCH_CHECK(why.empty(), why);
      if (coherent::Clock::now() >= end) TORCH_CHECK(false, explanation("rank " + std::to_string(r) + " is silent"));
      std::this_thread::sleep_for(5ms);
    }
    return coherent::text(store->get(full));
  }

  std::string name(int64_t r) {
    try {
      return "rank " + std::to_string(r) + " (" + coherent::text(store->get(coherent::key("present", r))) + ")";
    } catch (...) {
      return "rank " + std::to_string(r);
    }
  }

  const std::string host;
  const int port;
  const int64_t rank, count;
  const std::chrono::milliseconds timeout;
  coherent::Store store;
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
      store->set(coherent::key("gpu", rank), coherent::bytes(place));
      std::set<std::string> places;
      for (int64_t r = 0; r < count; ++r) places.insert(published("gpu", r));
      // One of them without, or two with the same.
      way = places.size() == static_cast<size_t>(count) && !places.contains("") ? Way::direct : Way::through_hosts;
      if (way == Way::direct) {
        if (rank == 0) store->set(coherent::key("nccl", 0), coherent::bytes(coherent::cuda::Nccl::new_id(*functions)));
        nccl = std::make_unique<coherent::cuda::Nccl>(*functions, device, static_cast<int>(rank),
                                                      static_cast<int>(count), published("nccl", 0), watch());
      }
    }
    if (way != Way::direct) return false;
    if (nccl == nullptr) throw coherent::cuda::NcclError("NCCL could not connect the GPUs");
    return nccl->is_for(device);
  }

  void open() {
    std::string reason;
    try {
      store = coherent::connection(host, port, rank == 0, timeout);
      return;
    } catch (const std::exception &e) {
      reason = e.what();
    }
    const std::string place = host + ":" + std::to_string(port);
    if (rank != 0) {
      TORCH_CHECK(false, "rank 0 did not answer at ", place, " within ", coherent::seconds(timeout),
                  "; check that it runs there, that MASTER_ADDR and MASTER_PORT are the same everywhere, and that no "
                  "firewall is in between");
    }
    const bool is_taken = reason.find("EADDRINUSE") != reason.npos || reason.find("already in use") != reason.npos;
    TORCH_CHECK(!is_taken, "port ", port, " is in use on this host, perhaps by another job; give another MASTER_PORT");
    TORCH_CHECK(false, "rank 0 cannot listen at ", place, ": ", reason);
  }

  // Rank 0 says that all have come, or who has not, and the others go by what it says: it keeps the names, and leaves with
  // them. Who loses patience before it counts as gone.
  void wait_for_all() {
    const auto end = coherent::Clock::now() + timeout;
    std::vector<std::string> keys;
    for (int64_t r = 0; r < count; ++r) keys.push_back(coherent::key("present", r));
    const auto poll = [&](const std::vector<std::string> &wanted, std::chrono::milliseconds more) {
      while (!store->check(wanted)) {
        if (coherent::Clock::now() >= end + more) return false;
        std::this_thread::sleep_for(20ms);
      }
      return true;
    };
    if (rank == 0) {
      const std::string missing = poll(keys, 0ms) ? "" : absence(keys);
      store->set(coherent::verdict, coherent::bytes(missing.empty() ? coherent::complete : missing));
      if (!missing.empty()) await_readers(keys);
      TORCH_CHECK(missing.empty(), missing);
    } else if (poll({coherent::verdict}, coherent::silence)) {
      const std::string found = coherent::text(store->get(coherent::verdict));
      if (found != coherent::complete) leave_early({"left"});
      TORCH_CHECK(found == coherent::complete, found);
    } else {
      const std::string missing = absence(keys);
      leave_early({"gone", "left"});
      TORCH_CHECK(false, missing.empty() ? "rank 0 does not say whether all ranks have come" : missing);
    }
  }

  // For those that still wait; who has left cannot be told any more.
  void leave_early(std::initializer_list<const char *> keys) {
    try {
      for (const char *kind : keys) store->set(coherent::key(kind, rank), coherent::bytes("1"));
    } catch (const c10::DistError &) {
    }
  }

  // Who did not come in time, and who did; empty if the last came just now.
  std::string absence(const std::vector<std::string> &keys) {
    std::string present, missing;
    for (int64_t r = 0; r < count; ++r) {
      const bool is_there = store->check({keys[r]});
      std::string &list = is_there ? present : missing;
      list += (list.empty() ? "" : ", ") + (is_there ? name(r) : "rank " + std::to_string(r));
    }
    if (missing.empty()) return "";
    return missing + " did not come within " + coherent::seconds(timeout) + "; present are " + present;
  }

  // The store stays until the ranks that came have read the verdict, each within a moment if it lives.
  void await_readers(const std::vector<std::string> &keys) {
    const auto end = coherent::Clock::now() + coherent::silence;
    for (int64_t r = 1; r < count; ++r) {
      while (store->check({keys[r]}) && !store->check({coherent::key("left", r)}) && coherent::Clock::now() < end) {
        std::this_thread::sleep_for(10ms);
      }
    }
  }

  void show_life() { pulse->add(coherent::key("beat", rank), 1); }

  void run_heart() {
    std::unique_lock lock(mutex);
    while (!is_stopped) {
      if (wakes.wait_for(lock, coherent::beat, [this] { return is_stopped; })) return;
      lock.unlock();
      try {
        show_life();
      } catch (...) {
        // The store is gone. Whoever calls next learns of it.
        return;
      }
      lock.lock();
    }
  }

  // Why a call failed, with the names of the ranks that have been silent since.
  std::string explanation(const std::string &reason) {
    is_innocent = has_waited = true;
    const std::string rest = "; the others stop. Start all ranks again to go on from the newest checkpoint";
    try {
      const auto beats = [&] {
        std::vector<int64_t> result;
        for (int64_t r = 0; r < count; ++r) result.push_back(store->add(coherent::key("beat", r), 0));
        return result;
      };
      const auto before = beats();
      std::this_thread::sleep_for(coherent::silence);
      const auto after = beats();
      std::string lost;
      std::vector<int64_t> living;
      const std::string left = names_of_gone();
      for (int64_t r = 0; r < count; ++r) {
        const bool has_left = store->check({coherent::key("left", r)});
        const bool is_silent = r != rank && before[r] == after[r] && !has_left;
        if (is_silent) lost += (lost.empty() ? "" : ", ") + name(r);
        if (r != rank && !is_silent && !has_left) living.push_back(r);
      }
      store->set(coherent::key("left", rank), coherent::bytes("1"));
      if (rank == 0) await_questions(living, after);
      if (!lost.empty()) return lost + " was lost" + rest;
      if (!left.empty()) return left + coherent::ended;
      return "a call among the ranks failed: " + reason;
    } catch (const std::exception &) {
      return "rank 0 was lost, which keeps the addresses of all" + rest;
    }
  }

  // The store goes with rank 0, and the others ask it whose fault it was, each when its own work lets it: as long as they
  // live, and no longer than a call may take.
  void await_questions(std::vector<int64_t> living, std::vector<int64_t> beats) {
    const auto end = coherent::Clock::now() + timeout;
    auto next = coherent::Clock::now() + coherent::silence;
    while (!living.empty() && coherent::Clock::now() < end) {
      std::this_thread::sleep_for(20ms);
      const bool is_time = coherent::Clock::now() >= next;
      if (is_time) next += coherent::silence;
      std::erase_if(living, [&](int64_t r) {
        if (store->check({coherent::key("left", r)})) return true;
        if (!is_time) return false;
        const int64_t now = store->add(coherent::key("beat", r), 0);
        const bool is_silent = now == beats[r];
        beats[r] = now;
        return is_silent;
      });
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex);
      is_stopped = true;
    }
    wakes.notify_all();
    if (heart.joinable()) heart.join();
  }

  const ct_nccl *const own_nccl;
  enum class Way { undecided, direct, through_hosts } way = Way::undecided;
  coherent::Store pulse;
  std::mutex mutex;
  std::condition_variable wakes;
  bool is_stopped = false;
  // Whether we end because of another rank, and whether the others have had time to ask whose fault it was.
  bool is_innocent = false, has_waited = false;
  std::thread heart;
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
    std::vector<int64_t> in(received, received + group->count), out(sent, sent + group->count);
    const auto bytes_in = coherent::byte_counts(to, in), bytes_out = coherent::byte_counts(from, out);
    TORCH_CHECK_VALUE(to.sizes().slice(1) == from.sizes().slice(1), "rows of ", from.sizes(), " do not fit ", to.sizes());
    group->transfer(
        to, from,
        [&](coherent::cuda::Nccl &nccl) { nccl.exchange(to, from, bytes_in, bytes_out, group->watch()); },
        [&](at::Tensor to, at::Tensor from) { group->engine->alltoall_base(to, from, in, out)->wait(); });
  });
}

ct_status *ct_group_gather(ct_group *group, const ct_tensor *target, const ct_tensor *shard) {
  return guarded([&] {
    coherent::check(target->value, shard->value);
    at::Tensor to = target->value.view({-1}), from = shard->value.view({-1});
    TORCH_CHECK_VALUE(to.numel() == group->count * from.numel(), "the target must hold ", group->count, " shards of ",
                      from.numel(), " numbers, not ", to.numel());
    group->transfer(
        to, from, [&](coherent::cuda::Nccl &nccl) { nccl.gather(to, from, group->watch()); },
        [&](at::Tensor to, at::Tensor from) { group->engine->_allgather_base(to, from)->wait(); });
  });
}

ct_status *ct_group_broadcast(ct_group *group, const ct_tensor *tensor) {
  return guarded([&] {
    coherent::check(tensor->value, tensor->value);
    group->transfer(
        tensor->value, tensor->value,
        [&](coherent::cuda::Nccl &nccl) { nccl.broadcast(tensor->value, group->watch()); },
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
    group->together([&] { group->store->set(coherent::key(key, group->rank), coherent::bytes(text)); });
  });
}

ct_status *ct_group_text(ct_group *group, const char *key, int64_t rank, char **out) {
  return guarded([&] {
    TORCH_CHECK_VALUE(rank >= 0 && rank < group->count, "there is no rank ", rank);
    std::string found;
    group->together([&] { found = group->published(key, rank); });
    *out = coherent::copied(found);
  });
}
