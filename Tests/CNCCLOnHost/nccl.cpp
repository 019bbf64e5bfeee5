// SPDX-License-Identifier: Apache-2.0
//
// What CLibTorch uses of NCCL, for threads of one process: sends and receives with the order and the matching that NCCL
// promises, done in the background, so that callers find them in progress, and never done when a rank does not take part.

#include "CNCCLOnHost.h"

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ct_collectives.h"

namespace {

constexpr int success = 0, failed = 2, invalid = 4, in_progress = 7;

std::atomic<int64_t> calls{0}, aborts{0}, ids{0};
std::atomic<int> broken{-1};

// What the ranks of an id share: bytes on their way, from one rank to another, in order.
struct World {
  std::mutex mutex;
  std::condition_variable wakes;
  int joined = 0;
  std::map<std::pair<int, int>, std::deque<std::vector<char>>> mail;
};

struct Operation {
  bool is_send;
  void *data;
  size_t bytes;
  int other;
};

struct Communicator {
  std::shared_ptr<World> world;
  int rank, count;
  std::atomic<int> state{success};
  // Whether it has exchanged anything: the first call connects the ranks, and returns once all take part, as NCCL's does.
  bool is_connected = false;
  bool is_aborted = false;
  // Calls under way, on whatever thread.
  int busy = 0;

  int start(std::vector<Operation> operations) {
    state = in_progress;
    {
      const std::lock_guard lock(world->mutex);
      busy += 1;
    }
    const auto work = [this, operations = std::move(operations)] {
      const int code = carry_out(operations);
      const std::lock_guard lock(world->mutex);
      state = code;
      busy -= 1;
      world->wakes.notify_all();
      return code;
    };
    if (std::exchange(is_connected, true)) {
      std::thread(work).detach();
      return success;
    }
    return work();
  }

  int carry_out(const std::vector<Operation> &operations) {
    std::unique_lock lock(world->mutex);
    for (const auto &o : operations) {
      if (!o.is_send) continue;
      const char *data = static_cast<const char *>(o.data);
      world->mail[{rank, o.other}].emplace_back(data, data + o.bytes);
    }
    world->wakes.notify_all();
    for (const auto &o : operations) {
      if (o.is_send) continue;
      auto &box = world->mail[{o.other, rank}];
      world->wakes.wait(lock, [&] { return is_aborted || !box.empty(); });
      if (is_aborted) return failed;
      if (box.front().size() != o.bytes) return invalid;
      std::memcpy(o.data, box.front().data(), o.bytes);
      box.pop_front();
    }
    return success;
  }
};

// What was called since GroupStart, of one communicator.
thread_local std::vector<Operation> pending;
thread_local Communicator *current = nullptr;
thread_local int depth = 0;

int GroupStart() {
  depth += 1;
  return success;
}

int GroupEnd() {
  depth -= 1;
  if (depth > 0 || current == nullptr) return success;
  calls += 1;
  return std::exchange(current, nullptr)->start(std::exchange(pending, {}));
}

int add(void *communicator, const Operation &operation) {
  GroupStart();
  current = static_cast<Communicator *>(communicator);
  pending.push_back(operation);
  return GroupEnd();
}

int Send(const void *data, size_t bytes, int type, int to, void *communicator, void *) {
  return type == 1 ? add(communicator, {true, const_cast<void *>(data), bytes, to}) : invalid;
}

int Recv(void *data, size_t bytes, int type, int from, void *communicator, void *) {
  return type == 1 ? add(communicator, {false, data, bytes, from}) : invalid;
}

int AllGather(const void *shard, void *target, size_t bytes, int type, void *communicator, void *stream) {
  const int count = static_cast<Communicator *>(communicator)->count;
  GroupStart();
  for (int r = 0; r < count; ++r) {
    if (Send(shard, bytes, type, r, communicator, stream) != success) return invalid;
    Recv(static_cast<char *>(target) + bytes * r, bytes, type, r, communicator, stream);
  }
  return GroupEnd();
}

int Broadcast(const void *source, void *target, size_t bytes, int type, int from, void *communicator, void *stream) {
  const auto *own = static_cast<Communicator *>(communicator);
  GroupStart();
  for (int r = 0; own->rank == from && r < own->count; ++r) Send(source, bytes, type, r, communicator, stream);
  Recv(target, bytes, type, from, communicator, stream);
  return GroupEnd();
}

int GetUniqueId(ct_nccl_id *id) {
  std::memset(id->bytes, 0, sizeof id->bytes);
  // Bytes of every value, as the real ones have.
  const int64_t number = ids += 1;
  for (size_t i = 0; i < sizeof id->bytes; ++i) id->bytes[i] = static_cast<char>(number * 37 + static_cast<int64_t>(i) * 5);
  return success;
}

int CommInitRank(void **out, int count, ct_nccl_id id, int rank) {
  if (broken == rank) return failed;
  static std::mutex mutex;
  static auto &worlds = *new std::map<std::string, std::shared_ptr<World>>;
  std::shared_ptr<World> world;
  {
    const std::lock_guard lock(mutex);
    auto &found = worlds[std::string(id.bytes, sizeof id.bytes)];
    if (found == nullptr) found = std::make_shared<World>();
    world = found;
  }
  std::unique_lock lock(world->mutex);
  world->joined += 1;
  world->wakes.notify_all();
  world->wakes.wait(lock, [&] { return world->joined == count; });
  auto *made = new Communicator;
  made->world = world;
  made->rank = rank;
  made->count = count;
  *out = made;
  return success;
}

int CommAbort(void *communicator) {
  auto *own = static_cast<Communicator *>(communicator);
  {
    std::unique_lock lock(own->world->mutex);
    own->is_aborted = true;
    aborts += own->busy > 0;
    own->world->wakes.notify_all();
    own->world->wakes.wait(lock, [&] { return own->busy == 0; });
  }
  delete own;
  return success;
}

int CommGetAsyncError(void *communicator, int *code) {
  *code = static_cast<Communicator *>(communicator)->state;
  return success;
}

const char *GetErrorString(int code) { return code == invalid ? "sizes that do not fit" : "something failed"; }

}  // namespace

const void *host_nccl(const char *place) {
  auto *functions = new ct_nccl{GetUniqueId, CommInitRank, CommAbort, CommGetAsyncError, GetErrorString,
                                GroupStart, GroupEnd, Send, Recv, AllGather, Broadcast, nullptr};
  functions->place = (new std::string(place))->c_str();
  return functions;
}

void host_nccl_break(int rank) { broken = rank; }
int64_t host_nccl_calls(void) { return calls; }
int64_t host_nccl_aborts(void) { return aborts; }
