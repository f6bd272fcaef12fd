// Hostile problems whose every array, of inputs and of outputs, ends at a page that cannot be read.
#include <cstdint>
#include <random>
#include <vector>

#include "hostile/checks.hpp"
#include "random_problem.hpp"

template <class Real>
void test_problem(std::vector<std::uint8_t>& bytes) {
  Pages memory;
  Choices choices(bytes.data(), bytes.size());
  const HostileProblem<Real> problem(memory, choices);
  const Answers<Real> got(memory, problem, pybert_crf::cpu::operations<Real>());
  AnswerChecks<Real>(problem).check(got);
}

int main() {
  if (!has_instruction_set()) return skipped;
  std::mt19937 random(1);
  std::vector<std::uint8_t> bytes(200);
  for (int tags = 1; tags <= 33; ++tags)
    for (int turn = 0; turn < 10; ++turn) {
      for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
      bytes[0] = static_cast<std::uint8_t>(tags - 1);
      test_problem<float>(bytes);
      test_problem<double>(bytes);
    }
  return report("unreadable pages");
}
