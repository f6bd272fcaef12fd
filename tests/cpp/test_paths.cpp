// The kernels against every enumerated path, on ordinary and hostile problems in every memory layout.
#include <cmath>

#include "check.hpp"
#include "problem.hpp"

// What the paths of one row add up to, in double.
template <class Real>
struct Enumeration {
  double log_z = 0, best = 0;
  std::vector<std::ptrdiff_t> positions;
  std::vector<std::int64_t> best_path;
  std::vector<double> marginals, pairs;  // (positions, tags), (tags, tags) expected counts

  Enumeration(Problem<Real>& problem, std::ptrdiff_t row) {
    const auto chains = problem.chains();
    const std::ptrdiff_t tags = problem.tags;
    for (std::ptrdiff_t t = 0; t < problem.time; ++t)
      if (chains.mask(row, t)) positions.push_back(t);
    const std::size_t length = positions.size();
    marginals.resize(length * static_cast<std::size_t>(tags));
    pairs.resize(static_cast<std::size_t>(tags * tags));
    if (length == 0) return;
    const auto score = [&](const std::vector<std::int64_t>& path) {
      double sum =
          static_cast<double>(chains.start(path.front())) + static_cast<double>(chains.end(path.back()));
      for (std::size_t at = 0; at < length; ++at) {
        sum += static_cast<double>(chains.emissions(row, positions[at], path[at]));
        if (at > 0) sum += static_cast<double>(chains.transitions(path[at - 1], path[at]));
      }
      return sum;
    };
    best = -infinity;
    // The last tag changes slowest: the first of equally good paths is the one that the tie rule wants.
    for_each_path(
        length,
        [&](const auto& path) {
          const double here = score(path);
          if (here > best) {
            best = here;
            best_path = path;
          }
        },
        tags);
    log_z = best;
    if (best == -infinity) return;
    double total = 0;
    for_each_path(
        length,
        [&](const auto& path) {
          const double weight = std::exp(score(path) - best);
          total += weight;
          for (std::size_t at = 0; at < length; ++at) {
            marginals[at * static_cast<std::size_t>(tags) + static_cast<std::size_t>(path[at])] += weight;
            if (at > 0) pairs[static_cast<std::size_t>(path[at - 1] * tags + path[at])] += weight;
          }
        },
        tags);
    log_z += std::log(total);
    for (auto& value : marginals) value /= total;
    for (auto& value : pairs) value /= total;
  }

 private:
  template <class Visit>
  static void for_each_path(std::size_t length, Visit visit, std::ptrdiff_t tags) {
    std::vector<std::int64_t> path(length, 0);
    for (std::size_t at = 0; at < length;) {
      visit(path);
      for (at = 0; at < length && ++path[at] == tags; ++at) path[at] = 0;
    }
  }
};

template <class Real>
void test_problem(Problem<Real> problem, double tolerance, bool exact_ties) {
  Results<Real> got(problem, 2);
  const auto chains = problem.chains();
  const std::ptrdiff_t tags = problem.tags;
  std::vector<double> d_start(problem.start.size()), d_end(d_start),
      d_transitions(problem.transitions.size());
  for (std::ptrdiff_t row = 0; row < problem.batch; ++row) {
    const Enumeration<Real> want(problem, row);
    const auto grad = static_cast<double>(problem.grad[static_cast<std::size_t>(row)]);
    CHECK_CLOSE(got.log_z[static_cast<std::size_t>(row)], want.log_z, tolerance);
    CHECK_CLOSE(got.scores[static_cast<std::size_t>(row)], want.best, tolerance);
    std::size_t at = 0;
    for (std::ptrdiff_t t = 0; t < problem.time; ++t) {
      const std::int64_t tag = got.tags[static_cast<std::size_t>(row * problem.time + t)];
      if (!chains.mask(row, t)) {
        CHECK(tag == -1);
        for (std::ptrdiff_t k = 0; k < tags; ++k)
          CHECK(got.alphas_view(row, t, k) == 0 && got.d_emissions_view(row, t, k) == 0);
        continue;
      }
      CHECK(tag >= 0 && tag < tags);
      if (exact_ties && want.best > -infinity) CHECK(tag == want.best_path[at]);
      for (std::ptrdiff_t k = 0; k < tags; ++k) {
        const double expected =
            grad * want.marginals[at * static_cast<std::size_t>(tags) + static_cast<std::size_t>(k)];
        CHECK_CLOSE(got.d_emissions_view(row, t, k), expected, tolerance);
        if (at == 0) d_start[static_cast<std::size_t>(k)] += expected;
        if (at + 1 == want.positions.size()) d_end[static_cast<std::size_t>(k)] += expected;
      }
      ++at;
    }
    for (std::size_t pair = 0; pair < d_transitions.size(); ++pair)
      d_transitions[pair] += grad * want.pairs[pair];
  }
  for (std::size_t k = 0; k < d_start.size(); ++k) {
    CHECK_CLOSE(got.d_start[k], d_start[k], tolerance);
    CHECK_CLOSE(got.d_end[k], d_end[k], tolerance);
  }
  for (std::size_t pair = 0; pair < d_transitions.size(); ++pair)
    CHECK_CLOSE(got.d_transitions[pair], d_transitions[pair], tolerance);
}

template <class Real>
void test_all(double tolerance) {
  const std::ptrdiff_t sizes[][3] = {{150, 2, 2}, {3, 5, 1}, {2, 5, 2},  {4, 4, 3}, {2, 3, 7},
                                     {2, 3, 8},   {2, 3, 9}, {3, 1, 17}, {2, 0, 3}, {0, 4, 3}};
  unsigned seed = 1;
  for (const auto& [batch, time, tags] : sizes) {
    for (const Layout layout : {Layout::batch_first, Layout::time_first, Layout::tags_first}) {
      test_problem(Problem<Real>(batch, time, tags, layout, ++seed), tolerance, true);
      test_problem(Problem<Real>(batch, time, tags, layout, ++seed, 2, 1), tolerance, true);  // many ties
      for (const double forbidden : {0.3, 0.8, 1.0})
        test_problem(Problem<Real>(batch, time, tags, layout, ++seed, 2, 1, forbidden, 0.3), tolerance, true);
      test_problem(Problem<Real>(batch, time, tags, layout, ++seed, 1e4, 0, 0.2, 0.2), tolerance, false);
      test_problem(Problem<Real>(batch, time, tags, layout, ++seed, 2, 0, 0, 1.0), tolerance,
                   true);  // all masked
    }
  }
}

int main() {
  test_all<double>(1e-12);
  test_all<float>(2e-6);
  return report("paths");
}
