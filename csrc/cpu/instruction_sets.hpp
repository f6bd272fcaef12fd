// The instruction sets that operations.cpp is compiled for.
#pragma once

#include "chain.hpp"

#define PYBERT_CRF_DECLARE(target)                        \
  namespace pybert_crf::target {                          \
  extern const cpu::Operations<float> operations_float;   \
  extern const cpu::Operations<double> operations_double; \
  }

PYBERT_CRF_DECLARE(baseline)
PYBERT_CRF_DECLARE(avx2)
PYBERT_CRF_DECLARE(avx512)
PYBERT_CRF_DECLARE(lockstep)
#undef PYBERT_CRF_DECLARE
