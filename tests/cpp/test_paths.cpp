// Every kernel against the oracle, on ordinary and hostile problems in every memory layout.
#include <algorithm>
#include <cmath>
#include <limits>

#include "check.hpp"
#include "oracle.hpp"
#include "random_problem.hpp"

// The parameters' gradients that the rows' oracles add up to.
struct Expected {
  std::vector<double> d_start, d_transitions, d_end, t_start, t_transitions, t_end;

  explicit Expected(std::size_t tags)
      : d_start(tags),
        d_transitions(tags * tags),
        d_end(tags),
        t_start(tags),
        t_transitions(tags * tags),
        t_end(tags) {}
};

// The tags of a row at the unmasked positions; checks that the others are -1.
template <class Real>
std::vector<std::int64_t> path_of(const Problem<Real>& problem, const std::vector<std::int64_t>& tags,
                                  std::ptrdiff_t plane, std::ptrdiff_t row) {
  std::vector<std::int64_t> path;
  for (std::ptrdiff_t t = 0; t < problem.time; ++t) {
    const auto tag = tags[static_cast<std::size_t>((plane * problem.batch + row) * problem.time + t)];
    if (problem.mask[static_cast<std::size_t>(row * problem.time + t)]) {
      path.push_back(tag);
    } else {
      CHECK(tag == -1);
    }
  }
  return path;
}

// A path of a row that is claimed to have this score.
template <class Real>
void test_path(const Problem<Real>& problem, const Oracle<Real>& oracle,
               const std::vector<std::int64_t>& path, double score, double tolerance) {
  if (score == -infinity || path.empty()) return;
  bool in_range = true;
  for (const auto tag : path) in_range = in_range && tag >= 0 && tag < problem.tags;
  CHECK(in_range);
  if (in_range) CHECK_CLOSE(oracle.score(path), score, tolerance);
}

template <class Real>
void test_paths(Problem<Real>& problem, const Results<Real>& got, const Oracle<Real>& oracle,
                std::ptrdiff_t row, double tolerance, bool exact_ties) {
  const auto at = static_cast<std::size_t>(row);
  const auto batch = static_cast<std::size_t>(problem.batch);
  const auto path = path_of(problem, got.tags, 0, row);
  CHECK_CLOSE(got.scores[at], oracle.best, tolerance);
  test_path(problem, oracle, path, static_cast<double>(got.scores[at]), tolerance);
  if (exact_ties && oracle.enumerated && oracle.best > -infinity) CHECK(path == oracle.best_path);
  for (std::size_t rank = 0; rank < static_cast<std::size_t>(got.count); ++rank) {
    const auto score = static_cast<double>(got.ranked_scores[rank * batch + at]);
    const auto ranked = path_of(problem, got.ranked_tags, static_cast<std::ptrdiff_t>(rank), row);
    test_path(problem, oracle, ranked, score, tolerance);
    if (rank == 0) CHECK_CLOSE(score, oracle.best, tolerance);
    if (rank == 0 && exact_ties && score > -infinity) CHECK(ranked == path);
    if (oracle.enumerated)
      CHECK_CLOSE(score, rank < oracle.ranked.size() ? oracle.ranked[rank] : -infinity, tolerance);
  }
  for (std::ptrdiff_t sample = 0; sample < 2; ++sample) {
    const auto drawn = path_of(problem, got.samples, sample, row);
    bool is_path = true;
    for (const auto tag : drawn) is_path = is_path && tag >= 0 && tag < problem.tags;
    CHECK(drawn.empty() || is_path == (oracle.log_z > -infinity));
    if (is_path && !drawn.empty()) CHECK(oracle.score(drawn) > -infinity);
  }
}

template <class Real>
void test_sums(Problem<Real>& problem, const Results<Real>& got, const Oracle<Real>& oracle,
               std::ptrdiff_t row, double tolerance, Expected& expected) {
  const auto at = static_cast<std::size_t>(row);
  const auto K = static_cast<std::size_t>(problem.tags);
  const auto grad = oracle.log_z > -infinity ? static_cast<double>(problem.grad[at]) : 0.0;
  CHECK_CLOSE(got.log_z[at], oracle.log_z, tolerance);
  CHECK(got.value[at] == got.log_z[at]);
  std::vector<std::int64_t> path;
  for (const auto t : oracle.positions)
    path.push_back(
        problem.tags_given[at * static_cast<std::size_t>(problem.time) + static_cast<std::size_t>(t)]);
  const double score = path.empty() ? 0 : oracle.score(path);
  const double size = std::fabs(score) + std::fabs(oracle.log_z);  // whose rounding a difference keeps
  const double likelihood = oracle.log_z == -infinity ? -infinity : score - oracle.log_z;
  CHECK_CLOSE(got.likelihood[at], likelihood, std::isfinite(size) ? tolerance * (1 + size) : tolerance);
  std::size_t place = 0;
  for (std::ptrdiff_t t = 0; t < problem.time; ++t) {
    const std::size_t first = (at * static_cast<std::size_t>(problem.time) + static_cast<std::size_t>(t)) * K;
    if (place == path.size() || oracle.positions[place] != t) {
      for (std::size_t k = first; k < first + K; ++k)
        CHECK(got.alphas[k] == 0 && got.d_emissions[k] == 0 && got.t_emissions[k] == 0 &&
              got.messages[k] == 0);
      continue;
    }
    double highest = -infinity;
    for (std::size_t k = 0; k < K; ++k) {
      const double share = grad * oracle.marginals[place * K + k];
      const double own = path[place] == static_cast<std::int64_t>(k) ? grad : 0;
      highest = std::fmax(highest, static_cast<double>(got.alphas[first + k]));
      CHECK_CLOSE(got.d_emissions[first + k], share, tolerance);
      CHECK_CLOSE(got.t_emissions[first + k], own - share, tolerance);
      if (place == 0) {
        expected.d_start[k] += share;
        expected.t_start[k] += own - share;
      }
      if (place + 1 == path.size()) {
        expected.d_end[k] += share;
        expected.t_end[k] += own - share;
      }
    }
    CHECK(highest == 0 || highest == -infinity);
    if (place > 0)
      expected.t_transitions[static_cast<std::size_t>(path[place - 1]) * K +
                             static_cast<std::size_t>(path[place])] += grad;
    ++place;
  }
  for (std::size_t pair = 0; pair < K * K; ++pair) {
    expected.d_transitions[pair] += grad * oracle.pairs[pair];
    expected.t_transitions[pair] -= grad * oracle.pairs[pair];
  }
}

template <class Real>
void check_all_close(const std::vector<Real>& got, const std::vector<double>& expected, double tolerance) {
  for (std::size_t at = 0; at < expected.size(); ++at) CHECK_CLOSE(got[at], expected[at], tolerance);
}

template <class Real>
void test_problem(Problem<Real> problem, double tolerance, bool exact_ties) {
  const Results<Real> got(problem, 2);
  test_together(problem, got, 2);
  Expected expected(problem.start.size());
  for (std::ptrdiff_t row = 0; row < problem.batch; ++row) {
    const Oracle<Real> oracle(problem, row);
    test_paths(problem, got, oracle, row, tolerance, exact_ties);
    test_sums(problem, got, oracle, row, tolerance, expected);
  }
  const double several = tolerance * static_cast<double>(1 + problem.batch);
  check_all_close(got.d_start, expected.d_start, several);
  check_all_close(got.d_end, expected.d_end, several);
  check_all_close(got.d_transitions, expected.d_transitions, several);
  check_all_close(got.t_start, expected.t_start, several);
  check_all_close(got.t_end, expected.t_end, several);
  check_all_close(got.t_transitions, expected.t_transitions, several);
}

template <class Real>
void test_all(double tolerance) {
  const std::ptrdiff_t sizes[][3] = {{40, 2, 2}, {3, 5, 1},  {2, 5, 2},   {8, 4, 3},  {9, 3, 4},  {7, 3, 5},
                                     {2, 3, 7},  {2, 3, 8},  {2, 3, 9},   {3, 6, 16}, {9, 5, 17}, {8, 4, 31},
                                     {9, 5, 33}, {2, 4, 65}, {5, 3, 129}, {3, 1, 17}, {2, 0, 3},  {0, 4, 3}};
  const Layout layouts[] = {Layout::batch_first, Layout::time_first, Layout::tags_first};
  unsigned seed = 1, turn = 0;
  for (const auto& [batch, time, tags] : sizes) {
    ++turn;  // each kind of problem in each size, and over the sizes in each layout
    const auto next = [&] { return layouts[++turn % 3]; };
    test_problem(Problem<Real>(batch, time, tags, next(), ++seed), tolerance, true);
    test_problem(Problem<Real>(batch, time, tags, next(), ++seed, 2, 1), tolerance, true);  // many ties
    for (const double forbidden : {0.3, 0.8, 1.0})
      test_problem(Problem<Real>(batch, time, tags, next(), ++seed, 2, 1, forbidden, 0.3), tolerance, true);
    for (const double scale : {30.0, 150.0, 1e4})  // of 1e4, float32 knows 1e-3
      test_problem(Problem<Real>(batch, time, tags, next(), ++seed, scale, 0, 0.2, 0.2), tolerance, false);
    test_problem(Problem<Real>(batch, time, tags, next(), ++seed, 2, 0, 0, 1.0), tolerance,
                 true);  // all masked
  }
}

// NaN in an unmasked emission makes that row NaN and no other.
template <class Real>
void test_nan() {
  for (const std::ptrdiff_t tags : {3, 9, 33}) {
    Problem<Real> problem(9, 6, tags, Layout::batch_first, 5);
    problem.emissions[static_cast<std::size_t>((2 * 6 + 3) * tags + 1)] =
        std::numeric_limits<Real>::quiet_NaN();
    const Results<Real> got(problem, 2);
    for (std::size_t row = 0; row < 9; ++row) {
      CHECK(std::isnan(got.log_z[row]) == (row == 2));
      CHECK(std::isnan(got.likelihood[row]) == (row == 2));
      CHECK(std::isnan(got.scores[row]) == (row == 2));
    }
  }
}

// One emission of NaN or +inf makes a row's best score NaN, whatever that tag emits before and after; finite
// emissions whose sums overflow do not.
template <class Real>
void test_best_score_is_nan() {
  using Limits = std::numeric_limits<Real>;
  const std::ptrdiff_t time = 5;
  for (const std::ptrdiff_t tags : {1, 3, 8, 9, 33}) {
    const auto score = [&](std::ptrdiff_t at, Real number, Real others, Real elsewhere) {
      Problem<Real> problem(9, time, tags, Layout::batch_first, 7);
      auto* const row = problem.emissions.data() + 4 * time * tags;
      std::fill(row, row + time * tags, elsewhere);
      for (std::ptrdiff_t t = 0; t < time; ++t) row[t * tags + tags - 1] = t == at ? number : others;
      return Results<Real>(problem, 2).scores[4];
    };
    for (const Real others : {Real{0}, -Limits::infinity(), Limits::lowest()})
      for (const Real number : {Limits::quiet_NaN(), -Limits::quiet_NaN(), Limits::infinity()})
        for (std::ptrdiff_t at = 0; at < time; ++at) CHECK(std::isnan(score(at, number, others, 0)));
    CHECK(!std::isnan(score(0, Limits::lowest(), Limits::lowest() / time / 2, 0)));
    CHECK(
        !std::isnan(score(0, Limits::max() / time / 2, Limits::max() / time / 2, Limits::max() / time / 2)));
  }
}

// Whatever the emissions are, no tag that comes out is beyond the last.
template <class Real>
void test_tags_in_range() {
  for (const Real number : {std::numeric_limits<Real>::infinity(), std::numeric_limits<Real>::quiet_NaN()})
    for (const std::ptrdiff_t tags : {1, 3, 9, 33}) {
      Problem<Real> problem(9, 6, tags, Layout::batch_first, 6, 2, 0, 0.1);
      for (std::size_t at = 0; at < problem.emissions.size(); at += 5) problem.emissions[at] = number;
      const Results<Real> got(problem, 2);
      for (const auto* all : {&got.tags, &got.ranked_tags, &got.samples})
        for (const auto tag : *all) CHECK(tag >= -1 && tag < tags);
      for (const auto tag : got.tags) CHECK(tag >= 0);
    }
}

int main() {
  if (!has_instruction_set()) return skipped;
  test_all<double>(1e-9);
  test_all<float>(4e-6);
  test_nan<double>();
  test_nan<float>();
  test_best_score_is_nan<double>();
  test_best_score_is_nan<float>();
  test_tags_in_range<double>();
  test_tags_in_range<float>();
  return report("paths");
}
