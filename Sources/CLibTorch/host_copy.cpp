// SPDX-License-Identifier: Apache-2.0
//
// Copies between the host and a GPU for which neither waits: from and to memory that the GPU reads by itself.

#include "host_copy.h"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <optional>

struct ct_host_copy : coherent::Counted<&coherent::LiveCounters::copies> {
  at::Tensor value;
  // Of the moment at which the copy is there; none where it was made at once.
  std::optional<c10::Event> event;
};

namespace coherent {

at::Tensor host_memory_for(const at::Device &device, at::IntArrayRef sizes, at::ScalarType type) {
  const auto options = at::TensorOptions().dtype(type);
  const auto bytes = c10::multiply_integers(sizes) * static_cast<int64_t>(c10::elementSize(type));
  const bool is_read = device.is_cuda() && static_cast<size_t>(bytes) <= most_pinned;
  return at::empty(sizes, options.pinned_memory(is_read));
}

at::Tensor copied_to(const at::Tensor &host, const at::Device &device) {
  if (!device.is_cuda()) return host;
  if (host.nbytes() > most_pinned) return host.to(device);
  // What is pinned already stays where it is.
  return host.pin_memory().to(device, /*non_blocking=*/true);
}

}  // namespace coherent

using coherent::guarded;

ct_status *ct_host_copy_begin(ct_host_copy **out, const ct_tensor *tensor) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    const at::Tensor source = tensor->value.detach().contiguous();
    auto copy = std::make_unique<ct_host_copy>();
    if (source.is_cpu()) {
      copy->value = source.is_alias_of(tensor->value) ? source.clone() : source;
    } else {
      copy->value = at::empty(source.sizes(), source.options().device(at::kCPU).pinned_memory(true));
      copy->value.copy_(source, /*non_blocking=*/true);
      copy->event.emplace(source.device().type());
      copy->event->record(c10::impl::VirtualGuardImpl(source.device().type()).getStream(source.device()));
    }
    *out = copy.release();
  });
}

ct_status *ct_host_copy_wait(ct_tensor **out, const ct_host_copy *copy) {
  return coherent::producing(out, [&] {
    if (copy->event) copy->event->synchronize();
    return copy->value;
  });
}

void ct_host_copy_free(ct_host_copy *copy) { delete copy; }
