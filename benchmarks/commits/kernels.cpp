// One operation of the compiled CRF on one problem, so many times: for compare.py, which counts its
// instructions under callgrind and compares its results, written as raw doubles to a file, between two
// commits.
//
//   kernels OPERATION BATCH TIME TAGS REPEATS FILE
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "operations.hpp"

using namespace pybert_crf;  // NOLINT: a program of one file

int main(int count, char** arguments) {
  if (count != 7) return 2;
  const std::string name = arguments[1];
  const auto number = [&](int at) { return static_cast<std::ptrdiff_t>(std::atol(arguments[at])); };
  const auto size = [](std::ptrdiff_t length) { return static_cast<std::size_t>(length); };
  const std::ptrdiff_t batch = number(2), time = number(3), tags = number(4), k = 4;

  std::mt19937 random(7);
  // Not by a distribution of the library, which may differ between machines.
  const auto unit = [&] { return static_cast<double>(random()) / 4294967296.0; };
  const auto scores = [&](std::ptrdiff_t length) {
    std::vector<float> made(size(length));
    for (float& score : made) score = static_cast<float>(4 * unit() - 2);
    return made;
  };
  const std::vector<float> emissions = scores(batch * time * tags), start = scores(tags), end = scores(tags),
                           transitions = scores(tags * tags);
  std::vector<std::uint8_t> mask(size(batch * time), 1);
  std::vector<std::int64_t> given(size(batch * time)), found(size(k * batch * time));
  std::vector<double> uniforms(size(k * batch * time));
  for (std::ptrdiff_t row = 0; row < batch; ++row)  // rows of every length
    for (std::ptrdiff_t at = 0; at < time; ++at)
      mask[size(row * time + at)] = at < time - row * time / (2 * batch);
  for (auto& tag : given) tag = static_cast<std::int64_t>(random() % static_cast<unsigned>(tags));
  for (double& uniform : uniforms) uniform = unit();

  std::vector<float> grad(size(batch), 1.0F), value(size(batch)), log_z(size(batch)), best(size(k * batch));
  std::vector<float> messages(size(batch * time * tags)), d_emissions(messages), d_start(size(tags)),
      d_end(d_start), d_transitions(size(tags * tags));
  const Chains<float> chains{batch,
                             time,
                             tags,
                             {emissions.data(), {time * tags, tags, 1}},
                             {mask.data(), {time, 1}},
                             {start.data(), {1}},
                             {transitions.data(), {tags, 1}},
                             {end.data(), {1}}};
  const Paths paths{given.data(), {time, 1}}, none{nullptr, {0, 0}};
  const Gradient<float> gradient{d_emissions.data(), d_start.data(), d_transitions.data(), d_end.data()};
  const auto& table = cpu::operations<float>();
  const cpu::Threads one{1};
  const std::map<std::string, std::function<void()>> operations = {
      {"log_partition",
       [&] { table.log_partition(chains, none, {value.data(), log_z.data(), messages.data()}, one); }},
      {"value_and_gradient",
       [&] { table.value_and_gradient(chains, paths, grad.data(), value.data(), gradient, one); }},
      {"viterbi", [&] { table.viterbi(chains, {1, found.data(), best.data()}, one); }},
      {"k_best", [&] { table.k_best(chains, {k, found.data(), best.data()}, one); }},
      {"log_alphas", [&] { table.log_alphas(chains, messages.data(), one); }},
      {"sample",
       [&] { table.sample(chains, {k, {uniforms.data(), {batch * time, time, 1}}, found.data()}, one); }},
  };
  const auto operation = operations.find(name);
  if (operation == operations.end()) return 2;
  for (std::ptrdiff_t repeat = 0; repeat < number(5); ++repeat) operation->second();

  // What the caller sees; messages are an inner matter of the two operations that share them.
  std::vector<double> results;
  for (const auto* each : {&value, &best, &d_emissions, &d_start, &d_transitions, &d_end})
    results.insert(results.end(), each->begin(), each->end());
  results.insert(results.end(), found.begin(), found.end());
  if (name == "log_alphas") results.insert(results.end(), messages.begin(), messages.end());
  std::FILE* file = std::fopen(arguments[6], "wb");
  if (file == nullptr) return 1;
  const std::size_t written = std::fwrite(results.data(), sizeof(double), results.size(), file);
  return std::fclose(file) == 0 && written == results.size() ? 0 : 1;
}
