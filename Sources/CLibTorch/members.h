// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support.h"

namespace coherent {

using Store = c10::intrusive_ptr<c10d::TCPStore>;

// Who belongs to a group of processes: who has come, who lives, who has left or was lost, and what each has to say. All of
// it goes by a store of addresses and texts, which rank 0 holds.
class Members {
 public:
  // Waits until all have come; throws with the names of those who have not.
  explicit Members(const ct_group_options &options);
  ~Members();
  Members(const Members &) = delete;
  Members &operator=(const Members &) = delete;

  // Tells the others that this rank ends.
  void take_leave();
  // Has rank 0 wait a moment for the others, as the store goes with it; after a failure it has done so already.
  void await_others();

  // The address that this host has on the way to rank 0's: not what /etc/hosts says of its own name.
  std::string own_address() const;
  const Store &addresses() const { return store; }

  // What each says of itself by a word; `published` waits until a rank has, and throws where it ends before.
  void set(const char *kind, const std::string &value);
  std::string published(const char *kind, int64_t r);

  // Throws once a rank is gone or silent, or the call takes longer than it may; asks no more often than every while.
  std::function<void()> watch();
  // Why a call failed, with the names of the ranks that have been silent since.
  std::string explanation(const std::string &reason);
  void tell_of_trouble(const std::string &reason);

  const int64_t rank, count;
  const std::chrono::milliseconds timeout;

 private:
  using Clock = std::chrono::steady_clock;

  void open();
  void wait_for_all();
  void leave_early(std::initializer_list<const char *> kinds);
  std::string absence(const std::vector<std::string> &keys);
  void await_readers(const std::vector<std::string> &keys);
  void show_life();
  void run_heart();
  void await_questions(std::vector<int64_t> living, std::vector<int64_t> beats);
  std::string names_of_gone();
  std::string trouble_of_others();
  std::string name(int64_t r);

  const std::string host;
  const int port;
  Store store, pulse;
  std::mutex mutex;
  std::condition_variable wakes;
  bool is_stopped = false;
  // Whether we end because of another rank, and whether the others have had time to ask whose fault it was.
  bool is_innocent = false, has_waited = false;
  std::thread heart;
};

}  // namespace coherent
