// SPDX-License-Identifier: Apache-2.0

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <mutex>
#include <unordered_map>

#include "support.h"

namespace {

// Takes the place that libtorch has for a memory profiler.
class Meter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void *pointer, int64_t size, size_t, size_t, c10::Device) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (size > 0) {
      blocks_[pointer] = size;
      live_ += size;
      peak_ = std::max(peak_, live_);
    } else if (const auto block = blocks_.find(pointer); block != blocks_.end()) {
      live_ -= block->second;
      blocks_.erase(block);
    }
  }
  bool memoryProfilingEnabled() const override { return true; }

  int64_t live() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return live_;
  }

  int64_t take_peak() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(peak_, live_);
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<void *, int64_t> blocks_;
  int64_t live_ = 0, peak_ = 0;
};

}  // namespace

struct ct_memory_meter {
  std::shared_ptr<Meter> meter = std::make_shared<Meter>();
  c10::DebugInfoGuard guard{c10::DebugInfoKind::PROFILER_STATE, meter};
};

ct_status *ct_memory_meter_create(ct_memory_meter **out) {
  return coherent::guarded([&] { *out = new ct_memory_meter; });
}

void ct_memory_meter_free(ct_memory_meter *meter) { delete meter; }

int64_t ct_memory_meter_live(const ct_memory_meter *meter) { return meter->meter->live(); }

int64_t ct_memory_meter_take_peak(ct_memory_meter *meter) { return meter->meter->take_peak(); }
