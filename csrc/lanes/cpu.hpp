// What a group of lanes is on the CPU.
//
// The algorithms in chain/ are written for a group of `width` lanes, each of which owns one tag. A group
// holds one `Values` (a number for each lane); what it stores in memory is published: after `sync` every lane
// may read it. Here a group is a fixed number of vector registers, the arrays are padded to whole groups, and
// an algorithm walks over as many groups ("blocks" of tags) as the tags need; on a GPU a group is the threads
// of a warp or a block, under the same names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "lanes/math.hpp"
#include "lanes/registers.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The widest register that a group of `width` numbers fills; but for float two of 32 bytes rather than one of
// 64, whose operations would all wait for each other: only the sums, in double, have several sweeps at once.
template <class Number, int width>
constexpr int bytes_for = [] {
  constexpr int bytes = width * static_cast<int>(sizeof(Number));
  constexpr bool in_two = sizeof(Number) == sizeof(float) && bytes == 64 && register_bytes == 64;
  return in_two ? 32 : bytes < register_bytes ? bytes : register_bytes;
}();

template <class Number, int Width>
struct CpuLanes : private Registers<Number, bytes_for<Number, Width>> {
  using Base = Registers<Number, bytes_for<Number, Width>>;
  using Work = Number;
  using Element = Number;  // what published numbers are kept in
  using Base::fold;
  using Base::load_part;
  using Base::load_register;
  using Base::per_register;
  using Base::store_part;
  using Base::store_register;
  using typename Base::Bits;
  using typename Base::Register;
  static constexpr std::ptrdiff_t width = Width;
  static constexpr int registers = Width / per_register;
  // How many sums at once keep eight registers busy, which hides the latency of an addition: 1, 2 or 4.
  static constexpr std::ptrdiff_t partials = registers >= 8 ? 1 : registers >= 4 ? 2 : 4;

  // Whether the tables of a sweep from either side, of up to twice `partials` rows, fit the registers.
  static constexpr bool keeps_table = register_bytes == 64 && registers == 1;

  struct Values {
    Register part[registers];
  };

  static PYBERT_CRF_INLINE void sync() {}

  // As many steps of a sweep, of `padded` numbers each, as stay in the first cache; an even number.
  static PYBERT_CRF_INLINE std::ptrdiff_t segment_steps(std::ptrdiff_t padded) {
    const std::ptrdiff_t fit = 512 / padded / 2 * 2;
    return fit < 16 ? 16 : fit;
  }

  // Work on tags 0..count-1 (or on anything counted), each in the lane that owns it, j % width; here one
  // after the other.

  template <class Do>
  static PYBERT_CRF_INLINE void each(std::ptrdiff_t count, const Do& work) {
    for (std::ptrdiff_t j = 0; j < count; ++j) work(j);
  }

  template <class Do>
  static PYBERT_CRF_INLINE void in_lane_of(std::ptrdiff_t, const Do& work) {
    work();
  }

  // The greatest score(j) that is not NaN, -inf if there is none.
  template <class Score>
  static PYBERT_CRF_INLINE double greatest_of(std::ptrdiff_t count, const Score& score) {
    double top = -std::numeric_limits<double>::infinity();
    for (std::ptrdiff_t j = 0; j < count; ++j) {
      const double here = score(j);
      top = here > top ? here : top;
    }
    return top;
  }

  template <class Score>
  static PYBERT_CRF_INLINE double sum_of(std::ptrdiff_t count, const Score& score) {
    double sum = 0;
    for (std::ptrdiff_t j = 0; j < count; ++j) sum += score(j);
    return sum;
  }

  template <class Test>
  static PYBERT_CRF_INLINE bool any_of(std::ptrdiff_t count, const Test& test) {
    bool any = false;
    for (std::ptrdiff_t j = 0; j < count; ++j) any |= test(j);
    return any;
  }

  // A Spread (its top, low and nan) of what add(spread, j) adds to it.
  template <class Spread, class Add>
  static PYBERT_CRF_INLINE Spread spread_of(std::ptrdiff_t count, const Add& add) {
    Spread spread;
    for (std::ptrdiff_t j = 0; j < count; ++j) add(spread, j);
    return spread;
  }

  static PYBERT_CRF_INLINE Values all(Work number) {
    Values values;
    PYBERT_CRF_UNROLL
    for (auto& part : values.part) part = number - Register{};
    return values;
  }

  template <class Real>
  static PYBERT_CRF_INLINE Values load(const Real* from) {
    Values values;
    PYBERT_CRF_UNROLL
    for (int r = 0; r < registers; ++r) values.part[r] = load_register(from + r * per_register);
    return values;
  }

  // The first `count` lanes; 0 in those beyond.
  template <class Real>
  static PYBERT_CRF_INLINE Values load_some(const Real* from, std::ptrdiff_t count) {
    if (count >= width) return load(from);
    Values values;
    PYBERT_CRF_UNROLL
    for (int r = 0; r < registers; ++r) {
      const std::ptrdiff_t left = count - r * per_register;
      values.part[r] = left >= per_register ? load_register(from + r * per_register)
                       : left > 0           ? load_part(from + r * per_register, left)
                                            : Register{};
    }
    return values;
  }

  // A function that is called: strides other than one are rare, and this would be inlined at every load.
  template <class Real>
  static PYBERT_CRF_NOINLINE void gather(const Real* from, std::ptrdiff_t stride, std::ptrdiff_t count,
                                         Real* to) {
    for (std::ptrdiff_t lane = 0; lane < width; ++lane) to[lane] = lane < count ? from[lane * stride] : 0;
  }

  // load_some of numbers that are `stride` apart.
  template <class Real>
  static PYBERT_CRF_INLINE Values gather_some(const Real* from, std::ptrdiff_t stride, std::ptrdiff_t count) {
    Real side_by_side[width];
    gather(from, stride, count, side_by_side);
    return load(side_by_side);
  }

  // One number for all lanes, written by one of them.
  static PYBERT_CRF_INLINE void store_one(Work* to, Work number) { *to = number; }

  template <class Real>
  static PYBERT_CRF_INLINE void store(Real* to, const Values& values) {
    PYBERT_CRF_UNROLL
    for (int r = 0; r < registers; ++r) store_register(to + r * per_register, values.part[r]);
  }

  // The first `count` lanes.
  template <class Real>
  static PYBERT_CRF_INLINE void store_some(Real* to, const Values& values, std::ptrdiff_t count) {
    if (count >= width) {
      store(to, values);
      return;
    }
    PYBERT_CRF_UNROLL
    for (int r = 0; r < registers; ++r) {
      const std::ptrdiff_t left = count - r * per_register;
      if (left >= per_register) {
        store_register(to + r * per_register, values.part[r]);
      } else if (left > 0) {
        store_part(to + r * per_register, values.part[r], left);
      }
    }
  }

  template <int degree = Format<Work>::exp_degree>
  static PYBERT_CRF_INLINE Values exp(Values x) {
    exp_all<degree>(reinterpret_cast<Work*>(x.part), width);
    return x;
  }

  // exp of `size` (whole groups) published numbers, in place.
  template <int degree = Format<Work>::exp_degree>
  static PYBERT_CRF_INLINE void exp_all(Work* numbers, std::ptrdiff_t size) {
    Base::template exp_all<degree>(numbers, size);
  }

  static PYBERT_CRF_INLINE Values log(const Values& x) {
    Values values;
    PYBERT_CRF_UNROLL
    for (int r = 0; r < registers; ++r) values.part[r] = log_register<Work, Register, Bits>(x.part[r]);
    return values;
  }

  // The greater; `b` where either is NaN.
  static PYBERT_CRF_INLINE Values max(const Values& a, const Values& b) {
    Values values;
    PYBERT_CRF_UNROLL
    for (int r = 0; r < registers; ++r) values.part[r] = a.part[r] > b.part[r] ? a.part[r] : b.part[r];
    return values;
  }

  // The less of `least` and those of `values` that are positive.
  static PYBERT_CRF_INLINE Values least_positive(const Values& least, const Values& values) {
    Values result;
    PYBERT_CRF_UNROLL
    for (int r = 0; r < registers; ++r) {
      const Register positive = values.part[r] > Work{0} ? values.part[r] : least.part[r];
      result.part[r] = positive < least.part[r] ? positive : least.part[r];
    }
    return result;
  }

  // The less of `least` and those of `values` that are not -inf.
  static PYBERT_CRF_INLINE Values least_finite(const Values& least, const Values& values) {
    constexpr Work nothing = -std::numeric_limits<Work>::infinity();
    Values result;
    PYBERT_CRF_UNROLL
    for (int r = 0; r < registers; ++r) {
      const Register finite = values.part[r] > nothing ? values.part[r] : least.part[r];
      result.part[r] = finite < least.part[r] ? finite : least.part[r];
    }
    return result;
  }

  friend PYBERT_CRF_INLINE Values operator+(const Values& a, const Values& b) {
    Values values;
    PYBERT_CRF_UNROLL
    for (int r = 0; r < registers; ++r) values.part[r] = a.part[r] + b.part[r];
    return values;
  }

  friend PYBERT_CRF_INLINE Values operator-(const Values& a, const Values& b) {
    Values values;
    PYBERT_CRF_UNROLL
    for (int r = 0; r < registers; ++r) values.part[r] = a.part[r] - b.part[r];
    return values;
  }

  friend PYBERT_CRF_INLINE Values operator*(const Values& a, const Values& b) {
    Values values;
    PYBERT_CRF_UNROLL
    for (int r = 0; r < registers; ++r) values.part[r] = a.part[r] * b.part[r];
    return values;
  }

  // a * b + c, rounded once where the machine can.
  static PYBERT_CRF_INLINE Values fma(const Values& a, const Values& b, const Values& c) {
    Values values;
    PYBERT_CRF_UNROLL
    for (int r = 0; r < registers; ++r) values.part[r] = a.part[r] * b.part[r] + c.part[r];
    return values;
  }

  // Reductions over the lanes of the group.

  static PYBERT_CRF_INLINE Work greatest(const Values& values) {
    Register folded = values.part[0];
    PYBERT_CRF_UNROLL
    for (int r = 1; r < registers; ++r) folded = values.part[r] > folded ? values.part[r] : folded;
    return fold(folded, [](auto a, auto b) { return a > b ? a : b; });
  }

  static PYBERT_CRF_INLINE Work least(const Values& values) {
    Register folded = values.part[0];
    PYBERT_CRF_UNROLL
    for (int r = 1; r < registers; ++r) folded = values.part[r] < folded ? values.part[r] : folded;
    return fold(folded, [](auto a, auto b) { return a < b ? a : b; });
  }

  static PYBERT_CRF_INLINE Work sum(const Values& values) {
    Register folded = values.part[0];
    PYBERT_CRF_UNROLL
    for (int r = 1; r < registers; ++r) folded = folded + values.part[r];
    return fold(folded, [](auto a, auto b) { return a + b; });
  }

  // The lowest lane that holds `number`; `none` if none does.
  static PYBERT_CRF_INLINE std::ptrdiff_t first_equal(const Values& values, Work number,
                                                      std::ptrdiff_t none) {
#if defined(__AVX2__)
    if constexpr (sizeof(Register) >= 32) {
      std::uint32_t equal = 0;
      PYBERT_CRF_UNROLL
      for (int r = 0; r < registers; ++r) equal |= equal_lanes(values.part[r], number) << (r * per_register);
      return equal == 0 ? none : static_cast<std::ptrdiff_t>(static_cast<unsigned>(__builtin_ctz(equal)));
    }
#endif
    Work lanes[width];
    std::memcpy(lanes, &values, sizeof(lanes));
    std::ptrdiff_t lane = 0;
    while (lane < width && !(lanes[lane] == number)) ++lane;
    return lane < width ? lane : none;
  }

#if defined(__AVX2__)
 private:
  // A bit for each lane of a register of 32 or 64 bytes that holds `number`. By halves of 32 bytes: GCC 12
  // miscompiled the comparison of 64 bytes, at -O1 with -fsanitize=thread.
  static PYBERT_CRF_INLINE std::uint32_t equal_lanes(const Register& part, Work number) {
    constexpr int halves = static_cast<int>(sizeof(Register)) / 32;
    typename RegisterOf<Work, 32>::Type half[halves];
    std::memcpy(half, &part, sizeof(part));
    std::uint32_t equal = 0;
    PYBERT_CRF_UNROLL
    for (int h = 0; h < halves; ++h) {
      std::uint32_t here;
      if constexpr (sizeof(Work) == sizeof(float)) {
        here = static_cast<std::uint32_t>(
            _mm256_movemask_ps(_mm256_cmp_ps(bits_as<__m256>(half[h]), _mm256_set1_ps(number), _CMP_EQ_OQ)));
      } else {
        here = static_cast<std::uint32_t>(
            _mm256_movemask_pd(_mm256_cmp_pd(bits_as<__m256d>(half[h]), _mm256_set1_pd(number), _CMP_EQ_OQ)));
      }
      equal |= here << (h * per_register / halves);
    }
    return equal;
  }
#endif
};

}  // namespace pybert_crf::PYBERT_CRF_TARGET
