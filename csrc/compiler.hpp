// What differs between compilers, as macros.
#pragma once

// Code that is compiled once for each instruction set stands in a namespace of that set's name, so that the
// linker never takes a function of one for that of another; what is shared is always inlined.
#ifndef PYBERT_CRF_TARGET
#define PYBERT_CRF_TARGET baseline
#endif
#if defined(__CUDACC__)
#define PYBERT_CRF_FUNCTION __host__ __device__
#else
#define PYBERT_CRF_FUNCTION
#endif
#if defined(__CUDACC__)
#define PYBERT_CRF_INLINE __host__ __device__ __forceinline__
#elif defined(__GNUC__)
#define PYBERT_CRF_INLINE inline __attribute__((always_inline))
#else
#define PYBERT_CRF_INLINE inline
#endif

// A function that is never inlined: not part of the work of every step, but heavy where it would be copied
// to.
#if defined(__GNUC__)
#define PYBERT_CRF_NOINLINE __attribute__((noinline))
#else
#define PYBERT_CRF_NOINLINE
#endif

// Vector types that behave like numbers. Without them (MSVC; PYBERT_CRF_SCALAR, by which other compilers test
// that code) a register is one number.
#if defined(__GNUC__) && !defined(PYBERT_CRF_SCALAR)
#define PYBERT_CRF_VECTORS
#endif

// Before a loop over the registers of a group, which must not remain a loop: an array that is indexed at run
// time is not kept in registers.
#if defined(__clang__) || defined(__CUDACC__)
#define PYBERT_CRF_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define PYBERT_CRF_UNROLL _Pragma("GCC unroll 16")
#else
#define PYBERT_CRF_UNROLL
#endif

// Before a loop over sweeps or rows whose body is long. On a GPU there is one of them, whose state would lie
// in local memory if it were indexed; on a CPU copies of the body would only be more code.
#if defined(__CUDACC__)
#define PYBERT_CRF_UNROLL_ON_GPU _Pragma("unroll")
#else
#define PYBERT_CRF_UNROLL_ON_GPU
#endif
