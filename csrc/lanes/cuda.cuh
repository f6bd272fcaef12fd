// What a group of lanes is on a GPU: threads that each own the tags j with j % width == lane.
//
// The names are those of lanes/cpu.hpp. A group of 8, 16 or 32 is a part of a warp; a wider one is a whole
// number of warps, one of the two equal parts of a block. What is published lies in shared or global memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "lanes/math.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

template <class Number, int Width>
struct CudaLanes {
  using Work = Number;
  using Element = Number;
  using Values = Number;  // this lane's
  using Bits = typename Format<Number>::Bits;
  static constexpr std::ptrdiff_t width = Width;
  static constexpr std::ptrdiff_t partials = 4;  // sums under way at once, which hides an addition's latency
  static constexpr bool keeps_table = false;
  static constexpr bool in_warp = Width <= 32;
  static constexpr int warps = in_warp ? 1 : Width / 32;

  static __device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % Width; }

  static __device__ __forceinline__ void sync() {
    if constexpr (in_warp) {
      __syncwarp(members());
    } else {
      // A barrier of the group's own (0 is the block's): the block's other group is elsewhere.
      asm volatile("bar.sync %0, %1;" ::"r"(1 + group()), "n"(Width) : "memory");
    }
  }

  // Short segments: their memory is what limits how many rows are at work at once.
  static __device__ __host__ __forceinline__ std::ptrdiff_t segment_steps(std::ptrdiff_t) {
    return Width < 32 ? 16 : 8;
  }

  template <class Do>
  static __device__ __forceinline__ void each(std::ptrdiff_t count, const Do& work) {
    for (std::ptrdiff_t j = lane(); j < count; j += Width) work(j);
  }

  template <class Do>
  static __device__ __forceinline__ void in_lane_of(std::ptrdiff_t j, const Do& work) {
    if (j % Width == lane()) work();
  }

  template <class Score>
  static __device__ __forceinline__ double greatest_of(std::ptrdiff_t count, const Score& score) {
    double top = -std::numeric_limits<double>::infinity();
    each(count, [&](std::ptrdiff_t j) {
      const double here = score(j);
      top = here > top ? here : top;
    });
    return reduce(top, [](double a, double b) { return a > b ? a : b; });
  }

  template <class Score>
  static __device__ __forceinline__ double sum_of(std::ptrdiff_t count, const Score& score) {
    double sum = 0;
    each(count, [&](std::ptrdiff_t j) { sum += score(j); });
    return reduce(sum, [](double a, double b) { return a + b; });
  }

  template <class Test>
  static __device__ __forceinline__ bool any_of(std::ptrdiff_t count, const Test& test) {
    double any = 0;
    each(count, [&](std::ptrdiff_t j) { any = test(j) ? 1 : any; });
    return reduce(any, [](double a, double b) { return a > b ? a : b; }) > 0;
  }

  template <class Spread, class Add>
  static __device__ __forceinline__ Spread spread_of(std::ptrdiff_t count, const Add& add) {
    Spread spread;
    each(count, [&](std::ptrdiff_t j) { add(spread, j); });
    spread.top = reduce(spread.top, [](double a, double b) { return a > b ? a : b; });
    spread.low = reduce(spread.low, [](double a, double b) { return a < b ? a : b; });
    spread.unusable =
        reduce(spread.unusable ? 1.0 : 0.0, [](double a, double b) { return a > b ? a : b; }) > 0;
    return spread;
  }

  static __device__ __forceinline__ Values all(Work number) { return number; }

  template <class Real>
  static __device__ __forceinline__ Values load(const Real* from) {
    return static_cast<Work>(from[lane()]);
  }

  template <class Real>
  static __device__ __forceinline__ Values load_some(const Real* from, std::ptrdiff_t count) {
    return lane() < count ? static_cast<Work>(from[lane()]) : Work{0};
  }

  template <class Real>
  static __device__ __forceinline__ Values gather_some(const Real* from, std::ptrdiff_t stride,
                                                       std::ptrdiff_t count) {
    return lane() < count ? static_cast<Work>(from[lane() * stride]) : Work{0};
  }

  template <class Real>
  static __device__ __forceinline__ void store(Real* to, Values value) {
    to[lane()] = static_cast<Real>(value);
  }

  template <class Real>
  static __device__ __forceinline__ void store_some(Real* to, Values value, std::ptrdiff_t count) {
    if (lane() < count) to[lane()] = static_cast<Real>(value);
  }

  static __device__ __forceinline__ void store_one(Element* to, Work number) {
    if (lane() == 0) *to = number;
  }

  template <int degree = Format<Work>::exp_degree>
  static __device__ __forceinline__ Values exp(Values x) {
    exp_registers<Work, Work, Bits, 1, degree>(&x, &x);
    return x;
  }

  template <int degree = Format<Work>::exp_degree>
  static __device__ __forceinline__ void exp_all(Element* numbers, std::ptrdiff_t size) {
    constexpr int four = 4;
    Work x[four];
    std::ptrdiff_t at = lane();
    for (; at + (four - 1) * Width < size; at += four * Width) {
#pragma unroll
      for (int r = 0; r < four; ++r) x[r] = numbers[at + r * Width];
      exp_registers<Work, Work, Bits, four, degree>(x, x);
#pragma unroll
      for (int r = 0; r < four; ++r) numbers[at + r * Width] = x[r];
    }
    for (; at < size; at += Width) numbers[at] = exp<degree>(numbers[at]);
  }

  static __device__ __forceinline__ Values log(Values x) { return log_register<Work, Work, Bits>(x); }

  static __device__ __forceinline__ Values max(Values a, Values b) { return a > b ? a : b; }

  static __device__ __forceinline__ Values least_positive(Values least, Values value) {
    return value > Work{0} && value < least ? value : least;
  }

  static __device__ __forceinline__ Values least_finite(Values least, Values value) {
    return value > -std::numeric_limits<Work>::infinity() && value < least ? value : least;
  }

  static __device__ __forceinline__ Values fma(Values a, Values b, Values c) { return a * b + c; }

  static __device__ __forceinline__ Work greatest(Values value) {
    return reduce(value, [](Work a, Work b) { return a > b ? a : b; });
  }

  static __device__ __forceinline__ Work least(Values value) {
    return reduce(value, [](Work a, Work b) { return a < b ? a : b; });
  }

  static __device__ __forceinline__ Work sum(Values value) {
    return reduce(value, [](Work a, Work b) { return a + b; });
  }

  static __device__ __forceinline__ std::ptrdiff_t first_equal(Values value, Work number,
                                                               std::ptrdiff_t none) {
    if constexpr (in_warp) {
      const unsigned equal = __ballot_sync(members(), value == number) & members();
      return equal == 0 ? none : (__ffs(static_cast<int>(equal)) - 1) % Width;
    } else {
      const auto mine = static_cast<double>(value == number ? lane() : Width);
      const double first = reduce(mine, [](double a, double b) { return a < b ? a : b; });
      return first < Width ? static_cast<std::ptrdiff_t>(first) : none;
    }
  }

 private:
  static __device__ __forceinline__ int group() { return static_cast<int>(threadIdx.x) / Width; }

  // The threads of this warp that are in the group.
  static __device__ __forceinline__ unsigned members() {
    constexpr unsigned first = 0xffffffffU >> (Width < 32 ? 32 - Width : 0);
    return first << (Width < 32 ? static_cast<int>(threadIdx.x) % 32 / Width * Width : 0);
  }

  // Of all lanes' numbers, in an order that is always the same; every lane gets the result.
  template <class T, class Operation>
  static __device__ __forceinline__ T reduce(T number, Operation operation) {
    constexpr int part = in_warp ? Width : 32;
#pragma unroll
    for (int distance = part / 2; distance > 0; distance /= 2)
      number = operation(number, __shfl_xor_sync(members(), number, distance, part));
    if constexpr (in_warp) {
      return number;
    } else {
      __shared__ T each_warp[2][warps];
      T* mine = each_warp[group()];
      if (lane() % 32 == 0) mine[lane() / 32] = number;
      sync();
      number = mine[0];
      for (int warp = 1; warp < warps; ++warp) number = operation(number, mine[warp]);
      sync();  // before the next reduction
      return number;
    }
  }
};

}  // namespace pybert_crf::PYBERT_CRF_TARGET
