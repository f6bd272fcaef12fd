// The instruction sets that operations.cpp is compiled for.
#pragma once

#include "operations.hpp"

#define PYBERT_CRF_DECLARE(target)                                 \
  namespace pybert_crf::target {                                   \
  extern const Operations<float, cpu::Threads> operations_float;   \
  extern const Operations<double, cpu::Threads> operations_double; \
  }

PYBERT_CRF_DECLARE(baseline)
PYBERT_CRF_DECLARE(avx2)
PYBERT_CRF_DECLARE(avx512)
PYBERT_CRF_DECLARE(lockstep)
#undef PYBERT_CRF_DECLARE
