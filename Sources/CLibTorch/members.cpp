// SPDX-License-Identifier: Apache-2.0

#include "members.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <unistd.h>

#include <c10/util/Exception.h>

#include <cstring>

using namespace std::chrono_literals;

namespace coherent {
namespace {

using std::chrono::milliseconds;

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

Members::Members(const ct_group_options &options)
    : rank(options.rank), count(options.count), timeout(options.timeout_ms), host(options.host), port(options.port) {
  open();
  try {
    set("present", options.name);
    wait_for_all();
  } catch (const c10::DistError &) {
    TORCH_CHECK(false, "rank 0 left before all ranks had come; its own message says why");
  }
  pulse = connection(host, port, false, timeout);
  show_life();
  // From here on nothing may throw past the thread.
  heart = std::thread([this] { run_heart(); });
}

Members::~Members() {
  {
    const std::lock_guard lock(mutex);
    is_stopped = true;
  }
  wakes.notify_all();
  heart.join();
}

void Members::set(const char *kind, const std::string &value) { store->set(key(kind, rank), bytes(value)); }

void Members::take_leave() {
  // Who stops because of another is not to blame.
  if (!is_innocent) set("gone", "1");
  set("left", "1");
}

void Members::await_others() {
  const auto end = Clock::now() + 5s;
  for (int64_t r = 1; rank == 0 && !has_waited && r < count; ++r) {
    while (!store->check({key("left", r)}) && Clock::now() < end) std::this_thread::sleep_for(10ms);
  }
}

std::string Members::own_address() const {
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

std::function<void()> Members::watch() {
  const auto end = Clock::now() + timeout;
  auto next = Clock::now() + beat;
  std::vector<int64_t> beats;
  auto seen = Clock::now();
  return [=, this]() mutable {
    const auto now = Clock::now();
    if (now < next) return;
    next = now + beat;
    if (now >= end) throw std::runtime_error("it took longer than " + seconds(timeout));
    if (const std::string why = trouble_of_others(); !why.empty()) throw std::runtime_error(why);
    if (!beats.empty() && now - seen < silence) return;
    std::vector<int64_t> found;
    for (int64_t r = 0; r < count; ++r) {
      found.push_back(store->add(key("beat", r), 0));
      if (!beats.empty() && r != rank && found[r] == beats[r]) throw std::runtime_error(name(r) + " is silent");
    }
    beats = found;
    seen = now;
  };
}

// The ranks that have ended by themselves; empty for none.
std::string Members::names_of_gone() {
  std::string names;
  for (int64_t r = 0; r < count; ++r) {
    if (r != rank && store->check({key("gone", r)})) names += (names.empty() ? "" : ", ") + name(r);
  }
  return names;
}

// What other ranks say of themselves: that they have ended, or cannot go on; empty for nothing.
std::string Members::trouble_of_others() {
  if (const std::string gone = names_of_gone(); !gone.empty()) return gone + ended;
  for (int64_t r = 0; r < count; ++r) {
    const std::string found = key("trouble", r);
    if (r != rank && store->check({found})) return name(r) + ": " + text(store->get(found));
  }
  return "";
}

void Members::tell_of_trouble(const std::string &reason) {
  try {
    set("trouble", reason);
  } catch (const std::exception &) {
    // With rank 0 the store is gone, and they know.
  }
}

std::string Members::published(const char *kind, int64_t r) {
  const std::string full = key(kind, r);
  const auto end = Clock::now() + timeout;
  while (!store->check({full})) {
    const std::string why = trouble_of_others();
    if (!why.empty()) is_innocent = true;
    TORCH_CHECK(why.empty(), why);
    if (Clock::now() >= end) TORCH_CHECK(false, explanation("rank " + std::to_string(r) + " is silent"));
    std::this_thread::sleep_for(5ms);
  }
  return text(store->get(full));
}

std::string Members::name(int64_t r) {
  try {
    return "rank " + std::to_string(r) + " (" + text(store->get(key("present", r))) + ")";
  } catch (...) {
    return "rank " + std::to_string(r);
  }
}

void Members::open() {
  std::string reason;
  try {
    store = connection(host, port, rank == 0, timeout);
    return;
  } catch (const std::exception &e) {
    reason = e.what();
  }
  const std::string place = host + ":" + std::to_string(port);
  if (rank != 0) {
    TORCH_CHECK(false, "rank 0 did not answer at ", place, " within ", seconds(timeout),
                "; check that it runs there, that MASTER_ADDR and MASTER_PORT are the same everywhere, and that no "
                "firewall is in between");
  }
  const bool is_taken = reason.find("EADDRINUSE") != reason.npos || reason.find("already in use") != reason.npos;
  TORCH_CHECK(!is_taken, "port ", port, " is in use on this host, perhaps by another job; give another MASTER_PORT");
  TORCH_CHECK(false, "rank 0 cannot listen at ", place, ": ", reason);
}

// Rank 0 says that all have come, or who has not, and the others go by what it says: it keeps the names, and leaves with
// them. Who loses patience before it counts as gone.
void Members::wait_for_all() {
  const auto end = Clock::now() + timeout;
  std::vector<std::string> keys;
  for (int64_t r = 0; r < count; ++r) keys.push_back(key("present", r));
  const auto poll = [&](const std::vector<std::string> &wanted, milliseconds more) {
    while (!store->check(wanted)) {
      if (Clock::now() >= end + more) return false;
      std::this_thread::sleep_for(20ms);
    }
    return true;
  };
  if (rank == 0) {
    const std::string missing = poll(keys, 0ms) ? "" : absence(keys);
    store->set(verdict, bytes(missing.empty() ? complete : missing));
    if (!missing.empty()) await_readers(keys);
    TORCH_CHECK(missing.empty(), missing);
  } else if (poll({verdict}, silence)) {
    const std::string found = text(store->get(verdict));
    if (found != complete) leave_early({"left"});
    TORCH_CHECK(found == complete, found);
  } else {
    const std::string missing = absence(keys);
    leave_early({"gone", "left"});
    TORCH_CHECK(false, missing.empty() ? "rank 0 does not say whether all ranks have come" : missing);
  }
}

// For those that still wait; who has left cannot be told any more.
void Members::leave_early(std::initializer_list<const char *> keys) {
  try {
    for (const char *kind : keys) set(kind, "1");
  } catch (const c10::DistError &) {
  }
}

// Who did not come in time, and who did; empty if the last came just now.
std::string Members::absence(const std::vector<std::string> &keys) {
  std::string present, missing;
  for (int64_t r = 0; r < count; ++r) {
    const bool is_there = store->check({keys[r]});
    std::string &list = is_there ? present : missing;
    list += (list.empty() ? "" : ", ") + (is_there ? name(r) : "rank " + std::to_string(r));
  }
  if (missing.empty()) return "";
  return missing + " did not come within " + seconds(timeout) + "; present are " + present;
}

// The store stays until the ranks that came have read the verdict, each within a moment if it lives.
void Members::await_readers(const std::vector<std::string> &keys) {
  const auto end = Clock::now() + silence;
  for (int64_t r = 1; r < count; ++r) {
    while (store->check({keys[r]}) && !store->check({key("left", r)}) && Clock::now() < end) {
      std::this_thread::sleep_for(10ms);
    }
  }
}

void Members::show_life() { pulse->add(key("beat", rank), 1); }

void Members::run_heart() {
  std::unique_lock lock(mutex);
  while (!is_stopped) {
    if (wakes.wait_for(lock, beat, [this] { return is_stopped; })) return;
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

std::string Members::explanation(const std::string &reason) {
  is_innocent = has_waited = true;
  const std::string rest = "; the others stop. Start all ranks again to go on from the newest checkpoint";
  try {
    const auto beats = [&] {
      std::vector<int64_t> result;
      for (int64_t r = 0; r < count; ++r) result.push_back(store->add(key("beat", r), 0));
      return result;
    };
    const auto before = beats();
    std::this_thread::sleep_for(silence);
    const auto after = beats();
    std::string lost;
    std::vector<int64_t> living;
    const std::string left = names_of_gone();
    for (int64_t r = 0; r < count; ++r) {
      const bool has_left = store->check({key("left", r)});
      const bool is_silent = r != rank && before[r] == after[r] && !has_left;
      if (is_silent) lost += (lost.empty() ? "" : ", ") + name(r);
      if (r != rank && !is_silent && !has_left) living.push_back(r);
    }
    set("left", "1");
    if (rank == 0) await_questions(living, after);
    if (!lost.empty()) return lost + " was lost" + rest;
    if (!left.empty()) return left + ended;
    return "a call among the ranks failed: " + reason;
  } catch (const std::exception &) {
    return "rank 0 was lost, which keeps the addresses of all" + rest;
  }
}

// The store goes with rank 0, and the others ask it whose fault it was, each when its own work lets it: as long as they
// live, and no longer than a call may take.
void Members::await_questions(std::vector<int64_t> living, std::vector<int64_t> beats) {
  const auto end = Clock::now() + timeout;
  auto next = Clock::now() + silence;
  while (!living.empty() && Clock::now() < end) {
    std::this_thread::sleep_for(20ms);
    const bool is_time = Clock::now() >= next;
    if (is_time) next += silence;
    std::erase_if(living, [&](int64_t r) {
      if (store->check({key("left", r)})) return true;
      if (!is_time) return false;
      const int64_t now = store->add(key("beat", r), 0);
      const bool is_silent = now == beats[r];
      beats[r] = now;
      return is_silent;
    });
  }
}

}  // namespace coherent
