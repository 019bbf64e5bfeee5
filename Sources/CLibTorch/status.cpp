// SPDX-License-Identifier: Apache-2.0

#include <new>
#include <string>
#include <string_view>

#include "support.h"

namespace coherent {

namespace {

// A status that cannot be allocated still has to be one. This one is made at start, while there is memory, is counted
// by nobody and never freed.
ct_status *const exhausted = [] {
  auto *status = new ct_status;
  status->kind = CT_ERROR_OUT_OF_MEMORY;
  status->message = "out of memory";
  live.statuses -= 1;
  return status;
}();

// The allocator says where in its sources it failed; of that, how much was asked for.
std::string no_memory_text(std::string_view message) {
  constexpr std::string_view mark = "tried to allocate ";
  const auto place = message.find(mark);
  std::string digits;
  if (place != message.npos) {
    for (const char c : message.substr(place + mark.size())) {
      if (c < '0' || c > '9') break;
      digits += c;
    }
  }
  return "out of memory" + (digits.empty() ? "" : ": " + digits + " bytes cannot be had");
}

}  // namespace

ct_status *failure(ct_error_kind kind, const char *message) noexcept {
  try {
    auto *status = new ct_status;
    status->kind = kind;
    status->message = message;
    return status;
  } catch (...) {
    return exhausted;
  }
}

// The exception at hand as a status. Its text may have to be put together first, for which there may be no memory.
static ct_status *described() {
  try {
    throw;
  } catch (const c10::OutOfMemoryError &e) {
    return failure(CT_ERROR_OUT_OF_MEMORY, e.what_without_backtrace());
  } catch (const c10::IndexError &e) {
    return failure(CT_ERROR_INDEX, e.what_without_backtrace());
  } catch (const c10::TypeError &e) {
    return failure(CT_ERROR_TYPE, e.what_without_backtrace());
  } catch (const c10::NotImplementedError &e) {
    return failure(CT_ERROR_NOT_IMPLEMENTED, e.what_without_backtrace());
  } catch (const c10::LinAlgError &e) {
    return failure(CT_ERROR_NUMERICAL, e.what_without_backtrace());
  } catch (const c10::Error &e) {
    // The allocator of the CPU throws a plain error; only its text tells.
    const std::string_view message = e.what_without_backtrace();
    const bool no_memory = message.find("DefaultCPUAllocator: can't allocate memory") != message.npos;
    if (no_memory) return failure(CT_ERROR_OUT_OF_MEMORY, no_memory_text(message).c_str());
    return failure(CT_ERROR_INVALID, e.what_without_backtrace());
  } catch (const std::bad_alloc &) {
    return failure(CT_ERROR_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception &e) {
    return failure(CT_ERROR_INTERNAL, e.what());
  } catch (...) {
    return failure(CT_ERROR_INTERNAL, "an exception of unknown type");
  }
}

ct_status *current_exception() noexcept {
  try {
    return described();
  } catch (...) {
    return exhausted;
  }
}

void release(ct_status *status) noexcept {
  if (status != exhausted) delete status;
}

}  // namespace coherent

using coherent::live;

ct_error_kind ct_status_kind(const ct_status *status) { return status->kind; }
const char *ct_status_message(const ct_status *status) { return status->message.c_str(); }
void ct_status_free(ct_status *status) { coherent::release(status); }

int64_t ct_live_tensors(void) { return live.tensors; }
int64_t ct_live_generators(void) { return live.generators; }
int64_t ct_live_sinks(void) { return live.sinks; }
int64_t ct_live_slots(void) { return live.slots; }
int64_t ct_live_statuses(void) { return live.statuses; }
int64_t ct_live_host_copies(void) { return live.copies; }
