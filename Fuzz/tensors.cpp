// SPDX-License-Identifier: Apache-2.0
//
// The C interface to libtorch under random shapes, element types, layouts and numbers: every call ends in a result or an
// error, reads and writes no memory beyond a tensor, and leaves no handle behind. An input is a list of calls: what they
// are made with is read from its bytes, fitting sizes first, so that the kernels are reached, then one of them spoilt.

#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "CLibTorch.h"

namespace {

uint64_t calls = 0, results = 0;

// The bytes of an input as choices; zeros once they are used up.
struct Choices {
  const uint8_t *next, *end;

  uint8_t byte() { return next < end ? *next++ : 0; }
  bool is_over() const { return next >= end; }
  int64_t below(int64_t count) { return count <= 0 ? 0 : (byte() | int64_t(byte()) << 8) % count; }
  bool one_in(int64_t count) { return byte() % count == 1; }

  // A size that exists: mostly tiny, now and then wider than a vector of the kernels.
  int64_t size() {
    const uint8_t b = byte();
    return b < 200 ? b % 7 : b < 250 ? b % 67 : b % 400;
  }
  int64_t positive() { return 1 + size() % 80; }

  // Any number at all, those at which arithmetic ends among them.
  int64_t number() {
    static const int64_t edges[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX, INT64_MAX - 1, INT64_MAX / 2 + 1, -1, 0, 1, 2,
                                    INT32_MAX, INT32_MIN, int64_t(1) << 31, int64_t(1) << 32, int64_t(1) << 62,
                                    int64_t(1) << 40, -2, 1000000007, int64_t(1) << 30};
    const uint8_t b = byte();
    if (b < 120) return b % 9 - 2;
    if (b < 230) return edges[b % (sizeof edges / sizeof *edges)];
    int64_t value;
    for (size_t i = 0; i < sizeof value; ++i) reinterpret_cast<uint8_t *>(&value)[i] = byte();
    return value;
  }

  // The number that fits, or once in a while any.
  int64_t about(int64_t fitting) { return one_in(24) ? number() : fitting; }

  double real() {
    static const double edges[] = {0, 1, -1, 0.5, NAN, INFINITY, -INFINITY, 1e308, -1e308, 1e-320, 3.5e38, 0.1, -0.0, 2};
    return edges[byte() % (sizeof edges / sizeof *edges)];
  }

  float element() {
    const uint8_t b = byte();
    if (b == 255) return NAN;
    if (b == 254) return INFINITY;
    if (b == 253) return -3e38f;
    return (b % 17 - 8) / 4.0f;
  }
};

void check(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "tensors: %s\n", what);
  abort();
}

// A call's verdict, which must say something.
void ended(ct_status *status) {
  ++calls;
  if (status == nullptr) {
    ++results;
    return;
  }
  check(ct_status_message(status)[0] != 0, "an error without a message");
  ct_status_free(status);
}

// An owned tensor, which a failed call leaves empty.
struct T {
  ct_tensor *handle = nullptr;
  T() = default;
  T(const T &) = delete;
  T(T &&other) : handle(other.handle) { other.handle = nullptr; }
  T &operator=(T &&other) {
    std::swap(handle, other.handle);
    return *this;
  }
  ~T() { ct_tensor_free(handle); }
  ct_tensor **out() {
    ct_tensor_free(handle);
    handle = nullptr;
    return &handle;
  }
  operator const ct_tensor *() const { return handle; }
  explicit operator bool() const { return handle != nullptr; }
};

constexpr ct_device cpu{CT_CPU, 0};
using Shape = std::vector<int64_t>;

T made(Choices &c, Shape shape, ct_dtype type = CT_FLOAT32) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  const bool is_double = type == CT_FLOAT64;
  std::vector<float> values(count);
  // A few choices, repeated: inputs stay small.
  float few[5];
  for (float &value : few) value = c.element();
  for (int64_t i = 0; i < count; ++i) values[i] = few[i % 5] + float(i % 3);
  T plain, result;
  ended(ct_from_bytes(plain.out(), values.data(), count * 4, shape.data(), int64_t(shape.size()), CT_FLOAT32, cpu));
  if (!plain || type == CT_FLOAT32) return plain;
  if (type == CT_FLOAT64 && !is_double) return plain;
  ended(ct_to(result.out(), plain, type, cpu));
  return result;
}

// The same numbers in another layout, where the tensor has one.
T laid_out(Choices &c, T tensor) {
  T view, result;
  const int64_t rank = ct_rank(tensor);
  switch (c.byte() % 8) {
    case 1:
      if (rank == 4) ended(ct_channels_last(result.out(), tensor));
      break;
    case 2:
      if (rank >= 2) {
        ended(ct_transpose(view.out(), tensor, 0, rank - 1));
        if (view) ended(ct_contiguous(result.out(), view));
        if (result) ended(ct_transpose(view.out(), result, 0, rank - 1));
        result = std::move(view);
      }
      break;
    case 3:
      if (rank >= 1 && ct_size(tensor, 0) > 1) {
        ended(ct_narrow(view.out(), tensor, 0, 0, 1));
        Shape shape;
        for (int64_t i = 0; i < rank; ++i) shape.push_back(ct_size(tensor, i));
        if (view) ended(ct_expand(result.out(), view, shape.data(), rank));
      }
      break;
    default: break;
  }
  return result ? std::move(result) : std::move(tensor);
}

ct_dtype type_of(Choices &c) { return c.one_in(3) ? ct_dtype(c.byte() % 8) : CT_FLOAT32; }

T any(Choices &c) {
  Shape shape(c.byte() % 5);
  int64_t count = 1;
  for (int64_t &size : shape) {
    size = c.size();
    if (size * count > 4096) size = 1;
    count *= size > 0 ? size : 1;
  }
  return laid_out(c, made(c, shape, type_of(c)));
}

// A tensor of this shape, or once in a while another.
T about(Choices &c, Shape shape) {
  if (c.one_in(32)) return any(c);
  if (!shape.empty() && c.one_in(32)) shape[c.below(int64_t(shape.size()))] += c.byte() % 3;
  const ct_dtype type = c.one_in(12) ? type_of(c) : CT_FLOAT32;
  T tensor = made(c, shape, type);
  return tensor && c.one_in(4) ? laid_out(c, std::move(tensor)) : std::move(tensor);
}

Shape numbers(Choices &c, int64_t most) {
  Shape list(c.below(most + 1));
  for (int64_t &value : list) value = c.number();
  return list;
}

std::vector<ct_range> ranges(Choices &c, int64_t examples, int64_t count) {
  std::vector<ct_range> list;
  for (int64_t k = 0, start = 0; k < count; ++k) {
    const int64_t end = k + 1 == count ? examples : start + (examples - start) / (count - k);
    list.push_back({c.about(start), c.about(end)});
    start = end;
  }
  return list;
}

ct_clip clip(Choices &c, int64_t examples) {
  return {c.about(c.below(examples / 2 + 1)), c.about(c.below(examples / 2 + 1)), c.one_in(2), c.real()};
}

struct Sink {
  ct_gradient_sink *handle = nullptr;
  explicit Sink(const ct_tensor *destination) {
    if (destination != nullptr) ended(ct_sink_create(&handle, destination));
  }
  ~Sink() { ct_sink_free(handle); }
};

struct Slot {
  ct_factor_slot *handle = nullptr;
  explicit Slot(bool is_wanted) {
    if (is_wanted) ended(ct_slot_create(&handle));
  }
  ~Slot() {
    if (handle != nullptr) {
      T input, delta;
      ended(ct_slot_factors(input.out(), delta.out(), handle));
    }
    ct_slot_free(handle);
  }
};

void backward(Choices &c, const T &output) {
  if (!output || c.one_in(4)) return;
  T weights, sum;
  if (c.one_in(2)) {
    Shape shape;
    for (int64_t i = 0; i < ct_rank(output); ++i) shape.push_back(ct_size(output, i));
    weights = about(c, shape);
    if (weights) ended(ct_backward(output, weights));
  } else {
    ended(ct_sum(sum.out(), output, nullptr, 0, false));
    if (sum) ended(ct_backward(sum, nullptr));
  }
}

// MARK: Shapes and views

void views(Choices &c) {
  T t = any(c), out, other;
  if (!t) return;
  const Shape shape = numbers(c, 5);
  const int64_t rank = int64_t(shape.size());
  // A huge view may stand for elements that nobody has time for: it is made and let go.
  switch (c.byte() % 20) {
    case 0: return ended(ct_reshape(out.out(), t, shape.data(), rank));
    case 1: return ended(ct_expand(out.out(), t, shape.data(), rank));
    case 2: return ended(ct_transpose(out.out(), t, c.number(), c.number()));
    case 3: return ended(ct_permute(out.out(), t, shape.data(), rank));
    case 4: return ended(ct_narrow(out.out(), t, c.number(), c.number(), c.number()));
    case 5: return ended(ct_select(out.out(), t, c.number(), c.number()));
    case 6: return ended(ct_unsqueeze(out.out(), t, c.number()));
    case 7: return ended(ct_squeeze(out.out(), t, c.number()));
    case 8: return ended(ct_empty(out.out(), shape.data(), rank, type_of(c), cpu));
    case 9: return ended(ct_full(out.out(), shape.data(), rank, c.real(), type_of(c), cpu));
    case 10: return ended(ct_arange(out.out(), c.number(), c.number(), cpu));
    case 11: {
      uint8_t room[64] = {};
      const int64_t given = c.one_in(3) ? c.number() : 16;
      // The caller's promise: as many bytes as it says.
      if (given > int64_t(sizeof room)) return;
      return ended(ct_from_bytes(out.out(), room, given, shape.data(), rank, type_of(c), cpu));
    }
    case 12: {
      ct_dtype type;
      ended(ct_dtype_of(&type, t));
      std::vector<uint8_t> room(64);
      const int64_t given = c.about(ct_element_count(t) * 4);
      if (given > int64_t(room.size())) return;
      return ended(ct_copy_to_bytes(t, room.data(), given));
    }
    case 13: {
      other = any(c);
      const ct_tensor *list[] = {t, other};
      return other ? ended(ct_concatenate(out.out(), list, 2, c.number())) : void();
    }
    case 14: {
      T indices = made(c, {c.size()}, CT_INT64);
      return indices ? ended(ct_index_select(out.out(), t, c.about(0), indices)) : void();
    }
    case 15: {
      T indices = made(c, {ct_size(t, 0)}, CT_INT64);
      return indices ? ended(ct_index_add(out.out(), c.about(8), indices, t)) : void();
    }
    case 16: {
      T indices = made(c, {c.size(), c.size()}, CT_INT64);
      return indices ? ended(ct_gather(out.out(), t, c.about(0), indices)) : void();
    }
    case 17: {
      other = any(c);
      return other ? ended(ct_copy_into(t, other)) : void();
    }
    case 18: {
      double value;
      int64_t whole;
      ended(ct_item(&value, t));
      return ended(ct_item_integer(&whole, t));
    }
    default: {
      void *data;
      ended(ct_data(&data, t));
      return ended(ct_fill(t, c.real()));
    }
  }
}

// MARK: Arithmetic

void arithmetic(Choices &c) {
  T a = any(c), b = any(c), out, second;
  if (!a || !b) return;
  using One = ct_status *(*)(ct_tensor **, const ct_tensor *);
  static const One ones[] = {ct_negate, ct_absolute, ct_square, ct_square_root, ct_exponential, ct_logarithm, ct_sign,
                             ct_is_finite, ct_relu, ct_gelu, ct_silu, ct_sigmoid, ct_tanh, ct_logical_not, ct_all,
                             ct_clone, ct_contiguous, ct_channels_last, ct_detach, ct_row_squared_norms};
  using Two = ct_status *(*)(ct_tensor **, const ct_tensor *, const ct_tensor *);
  static const Two twos[] = {ct_add, ct_subtract, ct_multiply, ct_divide, ct_minimum, ct_maximum, ct_equal, ct_less,
                             ct_greater, ct_logical_and, ct_matmul, ct_embedding, ct_cross_entropy};
  switch (c.byte() % 20) {
    case 15: return ended(ct_leaky_relu(out.out(), a, c.real()));
    case 16: return ended((c.one_in(2) ? ct_add_scalar : ct_multiply_scalar)(out.out(), a, c.real()));
    case 17: return ended(ct_multiply_in_place(a, c.real()));
    case 18: return ended(ct_to(out.out(), a, type_of(c), {c.one_in(4) ? CT_CUDA : CT_CPU, int32_t(c.number())}));
    case 0: case 1: case 2: return ended(ones[c.byte() % (sizeof ones / sizeof *ones)](out.out(), a));
    case 3: case 4: case 5: return ended(twos[c.byte() % (sizeof twos / sizeof *twos)](out.out(), a, b));
    case 6: {
      const Shape list = numbers(c, 3);
      return ended((c.one_in(2) ? ct_sum : ct_mean)(out.out(), a, list.data(), int64_t(list.size()), c.one_in(2)));
    }
    case 7: return ended((c.one_in(2) ? ct_largest : ct_argmax)(out.out(), a, c.number(), c.one_in(2)));
    case 8: return ended(ct_top(out.out(), second.out(), a, c.number(), c.number()));
    case 9: return ended(ct_sort(out.out(), second.out(), a, c.number(), c.one_in(2)));
    case 10: {
      double value;
      return ended(ct_dot_double(&value, a, b));
    }
    case 11: return ended((c.one_in(2) ? ct_softmax : ct_log_softmax)(out.out(), a, c.number()));
    case 12: {
      T condition = any(c);
      return condition ? ended(ct_where(out.out(), condition, a, b)) : void();
    }
    case 13: return ended(ct_add_in_place(a, b, c.real()));
    case 14: return ended(ct_clamp(out.out(), a, c.real(), c.real()));
    default: return ended(ct_power(out.out(), a, c.real()));
  }
}

// MARK: Layers

void norms(Choices &c) {
  const int64_t batch = c.size(), channels = c.size();
  T x = about(c, {batch, channels, c.size() % 9, c.size() % 9}), out;
  T weight = about(c, {channels}), bias = about(c, {channels});
  T mean = about(c, {channels}), variance = about(c, {channels});
  if (!x || !weight || !bias || !mean || !variance) return;
  switch (c.byte() % 4) {
    case 0:
      return ended(ct_batch_norm(out.out(), x, weight, bias, mean, variance, c.one_in(2), c.real(), c.real()));
    case 1: return ended(ct_group_norm(out.out(), x, c.number(), weight, bias, c.real()));
    case 2: {
      const int64_t last[] = {c.about(ct_size(x, 3))};
      return ended(ct_layer_norm(out.out(), x, last, 1, weight, bias, c.real()));
    }
    default: {
      T image, residual;
      ended(ct_channels_last(image.out(), x));
      if (!image) return;
      if (c.one_in(3)) residual = about(c, {batch, channels, ct_size(x, 2), ct_size(x, 3)});
      ended(ct_set_requires_gradient(image.handle, c.one_in(2)));
      Slot slot(c.one_in(3));
      if (c.one_in(2)) {
        const int64_t parts = c.one_in(2) ? channels : c.number();
        ended(ct_group_norm_relu(out.out(), image, parts, weight, bias, c.real(), residual, c.one_in(2), slot.handle));
        return backward(c, out);
      }
      const int64_t count = c.one_in(2) ? 0 : c.about(1 + c.byte() % 4);
      const auto groups = ranges(c, batch, count < 0 || count > 16 ? 0 : count);
      const ct_batch_norm_options options{c.real(), c.real(), c.one_in(2), c.one_in(2)};
      ended(ct_batch_norm_relu(out.out(), image, weight, bias, mean, variance, residual, options, groups.data(),
                               int64_t(groups.size()), slot.handle));
      return backward(c, out);
    }
  }
}

void pools(Choices &c) {
  T x = about(c, {c.size() % 5, c.size() % 5, c.size(), c.size()}), out;
  if (!x) return;
  int64_t geometry[8];
  for (int i = 0; i < 8; ++i) geometry[i] = c.about(i == 4 || i == 5 ? c.byte() % 2 : 1 + c.byte() % 3);
  switch (c.byte() % 4) {
    case 0: return ended(ct_max_pool(out.out(), x, geometry, c.one_in(2)));
    case 1: return ended(ct_average_pool(out.out(), x, geometry, c.one_in(2), c.one_in(2)));
    case 2: return ended(ct_adaptive_average_pool(out.out(), x, c.about(1 + c.byte() % 3), c.about(1 + c.byte() % 3)));
    default: return ended(ct_padded_shortcut(out.out(), x, c.about(1 + c.byte() % 3), c.about(c.byte() % 9)));
  }
}

void linear(Choices &c) {
  const int64_t batch = c.size(), in = c.size(), outputs = c.size();
  T x = about(c, {batch, in}), weight = about(c, {outputs, in}), bias, out;
  if (c.one_in(2)) bias = about(c, {outputs});
  if (!x || !weight) return;
  ended(ct_set_requires_gradient(x.handle, c.one_in(2)));
  T gradient = about(c, {outputs, in}), bias_gradient = about(c, {outputs});
  if (!gradient || !bias_gradient) return;
  const bool has_sinks = c.one_in(2);
  Sink weight_sink(has_sinks ? gradient.handle : nullptr), bias_sink(has_sinks && bias ? bias_gradient.handle : nullptr);
  Slot slot(c.one_in(3));
  const ct_linear_plan plan{ct_product(c.byte() % 2), ct_product(c.byte() % 3), ct_product(c.byte() % 2)};
  ended(ct_linear(out.out(), x, weight, bias, c.one_in(2) ? CT_RELU : CT_IDENTITY, plan, weight_sink.handle,
                  bias_sink.handle, slot.handle));
  backward(c, out);
}

// MARK: Kernels over examples

void rows(Choices &c) {
  const int64_t batch = c.size(), width = c.size();
  T target = about(c, {width}), matrix = about(c, {batch, width});
  if (!target || !matrix) return;
  switch (c.byte() % 4) {
    case 0: return ended(ct_row_median(target, matrix));
    case 1: return ended(ct_clipped_row_sum(target, matrix, clip(c, batch)));
    case 2: {
      const auto groups = ranges(c, batch, 3 + 2 * (c.byte() % 4));
      return ended(ct_group_mean_median(target, matrix, groups.data(), int64_t(groups.size())));
    }
    default: {
      T total;
      ended(ct_to(total.out(), target, CT_FLOAT64, cpu));
      return total ? ended(ct_accumulate(total, matrix)) : void();
    }
  }
}

void products(Choices &c) {
  const int64_t examples = c.size(), in = c.size();
  int64_t outputs = c.size();
  const int64_t step = c.one_in(4) ? 1 + c.byte() % 4 : 1;
  // Where all are wide the work is much, by right: two of them are enough.
  if (examples * in * outputs > 1 << 20) outputs = outputs % 16;
  T target = about(c, {outputs, in}), bias, delta = about(c, {examples * step, outputs});
  T input = about(c, {examples * step, in});
  if (c.one_in(2)) bias = about(c, {outputs});
  if (!target || !delta || !input) return;
  switch (c.byte() % 4) {
    case 0: return ended(ct_weight_gradient(target, bias, delta, input, static_cast<ct_product>(c.byte() % 3), c.one_in(2)));
    case 3: return ended(ct_weight_sign_sum(target, bias, delta, input));
    case 1: return ended(ct_clipped_outer_sum(target, bias, delta, input, clip(c, examples)));
    default: {
      const auto groups = ranges(c, examples, 3 + 2 * (c.byte() % 4));
      return ended(ct_weight_gradient_median(target, bias, delta, input, c.about(step), groups.data(),
                                             int64_t(groups.size())));
    }
  }
}

void convolutions(Choices &c) {
  const int64_t groups = c.one_in(4) ? 1 + c.byte() % 3 : 1, batch = c.size() % 9;
  const int64_t inner = c.positive() % 20 + 1, outer = c.positive() % 20 + 1;
  int64_t kernel[2], geometry[6], size[2], reach[2];
  for (int axis = 0; axis < 2; ++axis) {
    kernel[axis] = 1 + c.byte() % 3;
    geometry[axis] = 1 + c.byte() % 2;
    geometry[2 + axis] = c.byte() % 2;
    geometry[4 + axis] = c.one_in(4) ? 2 : 1;
    size[axis] = 1 + c.byte() % 9;
    const int64_t span = geometry[4 + axis] * (kernel[axis] - 1) + 1;
    const int64_t room = size[axis] + 2 * geometry[2 + axis] - span;
    reach[axis] = room < 0 ? 0 : room / geometry[axis] + 1;
  }
  T x = about(c, {batch, inner * groups, size[0], size[1]});
  T delta = about(c, {batch, outer * groups, reach[0], reach[1]});
  if (!x || !delta) return;
  if (!c.one_in(3)) {
    T image, slope;
    if (ct_rank(x) == 4) ended(ct_channels_last(image.out(), x));
    if (ct_rank(delta) == 4) ended(ct_channels_last(slope.out(), delta));
    if (image && slope) x = std::move(image), delta = std::move(slope);
  }
  for (int i = 0; i < 2; ++i) kernel[i] = c.about(kernel[i]);
  for (int i = 0; i < 6; ++i) geometry[i] = c.about(geometry[i]);
  const int64_t parts = c.about(groups);
  const bool is_small = kernel[0] > 0 && kernel[0] < 9 && kernel[1] > 0 && kernel[1] < 9;
  const int64_t row = is_small ? outer * groups * inner * kernel[0] * kernel[1] : 1;
  T out, norms, sum = about(c, {row});
  if (!sum) return;
  switch (c.byte() % 10) {
    case 0: return ended(ct_convolution_example_gradients(out.out(), x, delta, kernel, geometry, parts));
    case 1: return ended(ct_convolution_weight_gradient(out.out(), x, delta, kernel, geometry, parts));
    case 2: return ended(ct_convolution_rows(out.out(), x, delta, kernel, geometry, parts));
    case 3:
      return ended(ct_convolution_row_norms(norms.out(), c.one_in(2) ? sum.handle : nullptr, x, delta, kernel, geometry,
                                            parts, c.one_in(2)));
    case 4: {
      T vectors = about(c, {c.byte() % 4, row});
      return vectors ? ended(ct_convolution_row_products(out.out(), vectors, x, delta, kernel, geometry, parts)) : void();
    }
    case 5: return ended(ct_convolution_row_sum(sum, x, delta, kernel, geometry, parts, c.one_in(2)));
    case 6: {
      const auto list = ranges(c, batch, 3 + 2 * (c.byte() % 4));
      return ended(ct_convolution_row_median(sum, x, delta, kernel, geometry, parts, list.data(), int64_t(list.size())));
    }
    case 7: return ended(ct_convolution_clipped_sum(sum, x, delta, kernel, geometry, parts, clip(c, batch)));
    case 8: return ended(ct_unfold(out.out(), x, kernel, geometry));
    default: {
      T weight = about(c, {outer * groups, inner, is_small ? kernel[0] : 1, is_small ? kernel[1] : 1});
      T gradient, bias;
      if (!weight) return;
      if (c.one_in(2)) bias = about(c, {outer * groups});
      if (c.one_in(2)) return ended(ct_convolution(out.out(), x, weight, bias, geometry, parts));
      ended(ct_clone(gradient.out(), weight));
      if (!gradient) return;
      ended(ct_set_requires_gradient(x.handle, c.one_in(2)));
      Sink sink(gradient), none(nullptr);
      if (sink.handle == nullptr) return;
      ended(ct_convolution_layer(out.out(), x, weight, nullptr, geometry, parts, sink.handle, nullptr));
      return backward(c, out);
    }
  }
}

// MARK: Losses, steps and batches

void classes(Choices &c) {
  const int64_t batch = c.size(), count = c.size();
  T logits = about(c, {batch, count}), targets = made(c, {batch}, CT_INT64);
  T first, second, third;
  if (!logits || !targets) return;
  if (c.one_in(2)) return ended(ct_cross_entropy(first.out(), logits, targets));
  ended(ct_classification_records(first.out(), second.out(), third.out(), logits, targets));
}

void steps(Choices &c) {
  const int64_t count = c.size();
  T p = about(c, {count}), g = about(c, {count}), a = about(c, {count}), b = about(c, {count}), v;
  if (!p || !g || !a || !b) return;
  if (c.one_in(2)) v = about(c, {count});
  bool finite = false;
  const ct_sgd_options sgd{c.real(), c.one_in(2) ? 0 : c.real(), c.real(), c.real(), c.real(), c.one_in(2), c.one_in(2), c.one_in(4)};
  switch (c.byte() % 4) {
    case 3: return ended(ct_take_signs(p, v, c.real(), c.real()));
    case 0: return ended(ct_sgd_step(p, g, v, sgd, &finite));
    case 1: return ended(ct_three_gradient_step(p, g, a, b, v, sgd, c.one_in(2), c.one_in(2), &finite));
    default: {
      const ct_adam_options adam{c.real(), c.real(), c.real(), c.real(), c.real(), c.one_in(2), c.number(), c.one_in(4)};
      return ended(ct_adam_step(p, g, a, b, adam, &finite));
    }
  }
}

void batches(Choices &c) {
  const int64_t rows = c.size(), channels = 1 + c.byte() % 3, features = channels * c.size(), count = c.size();
  std::vector<uint8_t> table(rows * features + 1);
  std::vector<int64_t> indices(count + 1);
  for (int64_t &index : indices) index = c.about(rows == 0 ? 0 : c.below(rows));
  const float scales[3] = {c.element(), 1, 2}, offsets[3] = {c.element(), 0, 1};
  T out;
  // Spoilt so that less is read than is there, or nothing: the memory is the caller's promise.
  const int64_t part = c.one_in(8) ? -c.below(9) : 0;
  ended(ct_gather_rows(out.out(), table.data(), c.one_in(8) ? -1 : rows, features + part, indices.data(),
                       c.one_in(8) ? -1 : count, scales, offsets, channels, {CT_CPU, 0}));
}

// A shape that can be had, of more numbers than can be drawn in a moment.
bool takes_long(const Shape &shape) {
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) return false;
  }
  return count > 1 << 24 && count <= int64_t(1) << 32;
}

void draws(Choices &c) {
  ct_generator *generator = nullptr;
  ended(ct_generator_create(&generator, cpu, uint64_t(c.number())));
  if (generator == nullptr) return;
  Shape shape = numbers(c, 3);
  if (takes_long(shape)) shape = {7, 3};
  T out, state;
  const int64_t rank = int64_t(shape.size());
  switch (c.byte() % 4) {
    case 0: ended(ct_uniform(out.out(), shape.data(), rank, c.real(), c.real(), type_of(c), generator)); break;
    case 1: ended(ct_normal(out.out(), shape.data(), rank, c.real(), c.real(), type_of(c), generator)); break;
    case 2: ended(ct_bernoulli(out.out(), shape.data(), rank, c.real(), type_of(c), generator)); break;
    default:
      state = any(c);
      if (state) ended(ct_generator_set_state(generator, state));
      ended(ct_generator_get_state(out.out(), generator));
  }
  ct_generator_free(generator);
}

void autograd(Choices &c) {
  T a = about(c, {3, 4}), b, out, gradient;
  if (!a) return;
  ended(ct_set_requires_gradient(a.handle, true));
  ended(ct_square(b.out(), a));
  if (!b) return;
  T weights = about(c, {3, 4});
  const ct_tensor *inputs[] = {a};
  ended(ct_gradients(gradient.out(), b, c.one_in(2) ? nullptr : weights.handle, inputs, 1, c.one_in(2), c.one_in(2)));
  Slot slot(true);
  T input = any(c);
  if (slot.handle == nullptr || !input) return;
  // A visitor that wants to see the factors, or ends the pass.
  static bool goes_on;
  goes_on = c.one_in(2);
  const auto visit = [](void *, ct_tensor *seen, ct_tensor *delta) {
    ct_tensor_free(seen);
    ct_tensor_free(delta);
    return goes_on;
  };
  if (c.one_in(2)) ended(ct_slot_visit(slot.handle, visit, nullptr, nullptr));
  ended(ct_tap_output(out.out(), a, input, slot.handle));
  backward(c, out);
  T parameter = about(c, {2, 3}), tapped, gradients = about(c, {2, 3});
  Sink sink(parameter ? gradients.handle : nullptr);
  if (sink.handle == nullptr) return;
  ended(ct_tap(tapped.out(), parameter, sink.handle));
  backward(c, tapped);
}

void print() { fprintf(stderr, "tensors: %" PRIu64 " calls, %" PRIu64 " of them with a result\n", calls, results); }

}  // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  ended(ct_set_thread_count(1));
  atexit(print);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  Choices c{bytes, bytes + count};
  using Part = void (*)(Choices &);
  static const Part parts[] = {views,   arithmetic,   norms,        pools,   linear, rows,    products,
                               products, convolutions, convolutions, classes, steps,  batches, draws, autograd};
  for (int number = 0; number < 4 && !c.is_over(); ++number) parts[c.byte() % (sizeof parts / sizeof *parts)](c);
  ct_set_gradient_mode(true);
  check(ct_live_tensors() == 0 && ct_live_generators() == 0 && ct_live_sinks() == 0 && ct_live_slots() == 0 &&
            ct_live_statuses() == 0, "a call left handles behind");
  return 0;
}
