// A vector register of the CPU, or a number where the compiler has no vector types, and how it meets memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "lanes/math.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

#if !defined(PYBERT_CRF_VECTORS)
constexpr int register_bytes = 0;  // no vector types: a register is one number
#elif defined(__AVX512F__)
constexpr int register_bytes = 64;
#elif defined(__AVX__)
constexpr int register_bytes = 32;
#else
constexpr int register_bytes = 16;
#endif

// A vector of `bytes` bytes that behaves like a number, where the compiler has one.
template <class Number, int bytes>
struct RegisterOf {
  using Type = Number;
  using Bits = typename Format<Number>::Bits;
};

#if defined(PYBERT_CRF_VECTORS)
#define PYBERT_CRF_REGISTER(number, bits, bytes)             \
  template <>                                                \
  struct RegisterOf<number, bytes> {                         \
    typedef number Type __attribute__((vector_size(bytes))); \
    typedef bits Bits __attribute__((vector_size(bytes)));   \
  };
PYBERT_CRF_REGISTER(float, std::uint32_t, 8)
PYBERT_CRF_REGISTER(float, std::uint32_t, 16)
PYBERT_CRF_REGISTER(float, std::uint32_t, 32)
PYBERT_CRF_REGISTER(float, std::uint32_t, 64)
PYBERT_CRF_REGISTER(double, std::uint64_t, 16)
PYBERT_CRF_REGISTER(double, std::uint64_t, 32)
PYBERT_CRF_REGISTER(double, std::uint64_t, 64)
#undef PYBERT_CRF_REGISTER
#endif

// Registers of `bytes` bytes of numbers of type Work; in memory the numbers may be narrower.
template <class Number, int bytes>
struct Registers {
  using Work = Number;
  using Register = typename RegisterOf<Work, bytes>::Type;
  using Bits = typename RegisterOf<Work, bytes>::Bits;
  static constexpr int per_register = static_cast<int>(sizeof(Register) / sizeof(Work));

  template <class Real>
  static constexpr int narrow_bytes = per_register == 1 ? 0 : per_register * static_cast<int>(sizeof(Real));

  template <class To, class From>
  static PYBERT_CRF_INLINE To convert(const From& from) {
    // GCC makes four instructions of what is one. (With a mask of all, here and below, as its headers' other
    // forms make it warn of what they leave undefined.)
#if defined(__AVX512F__)
    if constexpr (sizeof(From) == 32 && sizeof(To) == 64) {
      return bits_as<To>(_mm512_maskz_cvtps_pd(0xFF, bits_as<__m256>(from)));
    } else if constexpr (sizeof(From) == 64 && sizeof(To) == 32) {
      return bits_as<To>(_mm512_maskz_cvtpd_ps(0xFF, bits_as<__m512d>(from)));
    }
#endif
#if defined(PYBERT_CRF_VECTORS)
    if constexpr (per_register > 1) {
      return __builtin_convertvector(from, To);
    } else {
      return static_cast<To>(from);
    }
#else
    return static_cast<To>(from);
#endif
  }

  template <class Real>
  static PYBERT_CRF_INLINE Register load_register(const Real* from) {
    if constexpr (sizeof(Real) == sizeof(Work)) {
      Register whole;
      std::memcpy(&whole, from, sizeof(whole));
      return whole;
    } else {
      typename RegisterOf<Real, narrow_bytes<Real>>::Type narrow;
      std::memcpy(&narrow, from, sizeof(narrow));
      return convert<Register>(narrow);
    }
  }

  template <class Real>
  static PYBERT_CRF_INLINE void store_register(Real* to, const Register& numbers) {
    if constexpr (sizeof(Real) == sizeof(Work)) {
      std::memcpy(to, &numbers, sizeof(numbers));
    } else {
      const auto narrow = convert<typename RegisterOf<Real, narrow_bytes<Real>>::Type>(numbers);
      std::memcpy(to, &narrow, sizeof(narrow));
    }
  }

  // The first `count` numbers of a register, at least 1.
  template <class Real>
  static PYBERT_CRF_INLINE void store_part(Real* to, const Register& numbers, std::ptrdiff_t count) {
#if defined(__AVX512VL__)
    if constexpr (sizeof(Real) == sizeof(float) && per_register == 8) {
      using Narrow = typename RegisterOf<float, 32>::Type;
      _mm256_mask_storeu_ps(to, first_bits(count), bits_as<__m256>(convert<Narrow>(numbers)));
      return;
    }
#endif
#if defined(__AVX2__)
    if constexpr (sizeof(Real) == sizeof(float) && per_register == 4) {
      using Narrow = typename RegisterOf<float, 16>::Type;
      _mm_maskstore_ps(to, first_of_four(count), bits_as<__m128>(convert<Narrow>(numbers)));
      return;
    } else if constexpr (sizeof(Real) == sizeof(float) && per_register == 8) {
      using Narrow = typename RegisterOf<float, 32>::Type;
      _mm256_maskstore_ps(to, first_of_eight(count), bits_as<__m256>(convert<Narrow>(numbers)));
      return;
    }
#endif
    Work whole[per_register];
    std::memcpy(whole, &numbers, sizeof(whole));
    for (std::ptrdiff_t lane = 0; lane < count; ++lane) to[lane] = static_cast<Real>(whole[lane]);
  }

  static PYBERT_CRF_INLINE std::uint8_t first_bits(std::ptrdiff_t count) {
    return static_cast<std::uint8_t>((1U << count) - 1U);
  }

#if defined(__AVX2__)
  alignas(64) static constexpr std::int32_t on_then_off[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

  static PYBERT_CRF_INLINE __m128i first_of_four(std::ptrdiff_t count) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(on_then_off + 8 - count));
  }

  static PYBERT_CRF_INLINE __m256i first_of_eight(std::ptrdiff_t count) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(on_then_off + 8 - count));
  }
#endif

  // The first `count` numbers of a register, at least 1; 0 beyond.
  template <class Real>
  static PYBERT_CRF_INLINE Register load_part(const Real* from, std::ptrdiff_t count) {
#if defined(__AVX512VL__)
    if constexpr (sizeof(Real) == sizeof(float) && per_register == 8) {
      const auto part = _mm256_maskz_loadu_ps(first_bits(count), from);
      return convert<Register>(bits_as<typename RegisterOf<float, 32>::Type>(part));
    }
#endif
#if defined(__AVX2__)
    if constexpr (sizeof(Real) == sizeof(float) && per_register == 4) {
      const auto part = _mm_maskload_ps(from, first_of_four(count));
      return convert<Register>(bits_as<typename RegisterOf<float, 16>::Type>(part));
    } else if constexpr (sizeof(Real) == sizeof(float) && per_register == 8) {
      const auto part = _mm256_maskload_ps(from, first_of_eight(count));
      return convert<Register>(bits_as<typename RegisterOf<float, 32>::Type>(part));
    }
#endif
    Real numbers[per_register] = {};
    for (std::ptrdiff_t lane = 0; lane < count; ++lane) numbers[lane] = from[lane];
    return load_register(numbers);
  }

  // exp of `size` numbers in memory, whole registers of them. Four registers at a time: a single exp is a
  // long chain of dependent operations. It is called and not inlined, since it is long and many functions
  // need it.
  template <int degree>
  static PYBERT_CRF_NOINLINE void exp_all(Work* numbers, std::ptrdiff_t size) {
    constexpr int four = 4;
    Register x[four];
    std::ptrdiff_t at = 0;
    for (; at + four * per_register <= size; at += four * per_register) {
      PYBERT_CRF_UNROLL
      for (int r = 0; r < four; ++r) x[r] = load_register(numbers + at + r * per_register);
      exp_registers<Work, Register, Bits, four, degree>(x, x);
      PYBERT_CRF_UNROLL
      for (int r = 0; r < four; ++r) store_register(numbers + at + r * per_register, x[r]);
    }
    for (; at < size; at += per_register) {
      x[0] = load_register(numbers + at);
      exp_registers<Work, Register, Bits, 1, degree>(x, x);
      store_register(numbers + at, x[0]);
    }
  }

  // One number out of a register's, by halves. combine(a, b) takes numbers and registers.
  template <class Combine>
  static PYBERT_CRF_INLINE Work fold(const Register& numbers, Combine combine) {
    if constexpr (per_register == 1) {
      return lane_of(numbers, 0);
    } else if constexpr (per_register == 2) {
      return combine(lane_of(numbers, 0), lane_of(numbers, 1));
    } else {
      using Half = Registers<Number, bytes / 2>;
      typename Half::Register low, high;
#if defined(__AVX512F__)
      if constexpr (bytes == 64) {
        const auto whole = bits_as<__m512d>(numbers);
        low = bits_as<typename Half::Register>(_mm512_maskz_extractf64x4_pd(0xF, whole, 0));
        high = bits_as<typename Half::Register>(_mm512_maskz_extractf64x4_pd(0xF, whole, 1));
        return Half::fold(combine(low, high), combine);
      }
#endif
      std::memcpy(&low, &numbers, sizeof(low));
      std::memcpy(&high, reinterpret_cast<const char*>(&numbers) + sizeof(low), sizeof(high));
      return Half::fold(combine(low, high), combine);
    }
  }

  static PYBERT_CRF_INLINE Work lane_of(const Register& numbers, int lane) {
#if defined(PYBERT_CRF_VECTORS)
    if constexpr (per_register > 1) return numbers[lane];
#endif
    (void)lane;
    Work number;
    std::memcpy(&number, &numbers, sizeof(number));
    return number;
  }
};

}  // namespace pybert_crf::PYBERT_CRF_TARGET
