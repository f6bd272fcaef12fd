// libFuzzer's target: hostile problems to every operation of every instruction set that this machine has.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "hostile/checks.hpp"

template <class Real>
void run(Choices choices) {
  Heap memory;
  const HostileProblem<Real> problem(memory, choices);
  const AnswerChecks<Real> checks(problem);
  std::vector<Answers<Real>> answers;
  for (const char* name : {"baseline", "avx2", "avx512", "lockstep"})
    if (const auto* table = pybert_crf::cpu::operations_of<Real>(name)) {
      answers.emplace_back(memory, problem, *table);
      checks.check(answers.back());
      checks.compare(answers.front(), answers.back());
    }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Choices choices(data + 1, size - 1);
  if ((data[0] & 1) != 0) {
    run<float>(choices);
  } else {
    run<double>(choices);
  }
  return 0;
}
