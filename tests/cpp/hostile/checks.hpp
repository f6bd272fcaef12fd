// What must hold of the answers to every problem, and between the answers of two tables.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "hostile/answers.hpp"

// A failure ends the process: that is what a fuzzer counts.
#define REQUIRE(condition)                                                         \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                \
    }                                                                              \
  } while (false)

// Up to this magnitude sums of scores are exact enough to be compared.
constexpr double comparable = 1e4;

template <class Real>
class AnswerChecks {
 public:
  explicit AnswerChecks(const HostileProblem<Real>& problem) : problem_(problem), chains_(problem.chains) {
    for (std::ptrdiff_t row = 0; row < chains_.batch; ++row) {
      rows_.emplace_back(problem, row);
      const double weight = std::fabs(static_cast<double>(problem.grad[row]));
      all_comparable_ = all_comparable_ && is_comparable(row) && weight <= comparable;
      if (weight > weights_) weights_ = weight;
    }
    // Where no row has a pair, NaN times a count of 0 is a transition's gradient all the same.
    for (std::ptrdiff_t from = 0; from < chains_.tags; ++from)
      for (std::ptrdiff_t to = 0; to < chains_.tags; ++to)
        all_comparable_ = all_comparable_ && static_cast<double>(chains_.transitions(from, to)) <= comparable;
  }

  // Of one table's answers.
  void check(const Answers<Real>& got) const {
    const std::ptrdiff_t wrong = problem_.wrong_tag();
    REQUIRE(got.sums.wrong == -1 && got.sums.wrong_together == -1);
    REQUIRE(got.likelihood.wrong == wrong && got.likelihood.wrong_together == wrong);
    check_values(got.sums);
    if (wrong < 0) {
      check_values(got.likelihood);
    } else {
      for (const Real value : got.likelihood.value) REQUIRE(value == Values<Real>::unwritten);
    }
    for (std::ptrdiff_t row = 0; row < chains_.batch; ++row) check_paths(got, row);
  }

  // The same from two tables, where rounding leaves it defined.
  void compare(const Answers<Real>& a, const Answers<Real>& b) const {
    compare_values(a.sums, b.sums);
    if (problem_.wrong_tag() < 0) compare_values(a.likelihood, b.likelihood);
    for (std::ptrdiff_t row = 0; row < chains_.batch; ++row) {
      REQUIRE(agree(row, a.scores[row], b.scores[row]));
      for (std::ptrdiff_t rank = 0; rank < problem_.count; ++rank) {
        const std::ptrdiff_t at = rank * chains_.batch + row;
        REQUIRE(agree(row, a.ranked_scores[at], b.ranked_scores[at]));
      }
    }
  }

 private:
  static constexpr double tolerance = sizeof(Real) == sizeof(float) ? 1e-5 : 1e-9;

  const RowScores& scores(std::ptrdiff_t row) const { return rows_[static_cast<std::size_t>(row)]; }

  bool is_comparable(std::ptrdiff_t row) const {
    return !scores(row).unusable && scores(row).size <= comparable;
  }

  // Within the rounding of sums of this row's scores; of a row of NaN or +inf both are NaN.
  bool agree(std::ptrdiff_t row, Real a, Real b) const {
    if (scores(row).unusable) return std::isnan(a) && std::isnan(b);
    if (!is_comparable(row) || a == b) return true;
    const double sizes = 1 + scores(row).size * static_cast<double>(2 * problem_.length(row) + 1);
    return std::fabs(static_cast<double>(a) - static_cast<double>(b)) <= tolerance * sizes;
  }

  void check_values(const Values<Real>& got) const {
    for (std::ptrdiff_t row = 0; row < chains_.batch; ++row) {
      REQUIRE(agree(row, got.value[row], got.value_together[row]));
      const bool nan = std::isnan(got.value[row]);
      if (scores(row).unusable) REQUIRE(nan && std::isnan(got.log_z[row]));
      if (is_comparable(row)) REQUIRE(!nan && !std::isnan(got.log_z[row]));
      if (problem_.length(row) == 0) REQUIRE(got.value[row] == 0 && got.log_z[row] == 0);
      for (std::ptrdiff_t t = 0; t < chains_.time; ++t)
        if (!chains_.mask(row, t)) check_masked(got, (row * chains_.time + t) * chains_.tags);
    }
    if (all_comparable_)
      for (const auto* part : parts_of(got.gradient))
        for (const Real number : *part) REQUIRE(std::isfinite(number));
    compare_gradients(got.gradient, got.gradient_together);
  }

  void check_masked(const Values<Real>& got, std::ptrdiff_t first) const {
    for (std::ptrdiff_t at = first; at < first + chains_.tags; ++at)
      REQUIRE(got.gradient.emissions[at] == 0 && got.gradient_together.emissions[at] == 0 &&
              got.messages[at] == 0);
  }

  static std::vector<const Array<Real>*> parts_of(const HostileGradient<Real>& gradient) {
    return {&gradient.emissions, &gradient.start, &gradient.transitions, &gradient.end};
  }

  void compare_values(const Values<Real>& a, const Values<Real>& b) const {
    for (std::ptrdiff_t row = 0; row < chains_.batch; ++row) {
      REQUIRE(agree(row, a.value[row], b.value[row]));
      REQUIRE(agree(row, a.log_z[row], b.log_z[row]));
    }
    compare_gradients(a.gradient, b.gradient);
  }

  void compare_gradients(const HostileGradient<Real>& a, const HostileGradient<Real>& b) const {
    if (!all_comparable_) return;
    const double sizes = weights_ * static_cast<double>(1 + chains_.batch * chains_.time);
    const auto left = parts_of(a), right = parts_of(b);
    for (std::size_t part = 0; part < left.size(); ++part)
      for (std::size_t at = 0; at < left[part]->size; ++at)
        REQUIRE(std::fabs(static_cast<double>(left[part]->data[at] - right[part]->data[at])) <=
                tolerance * sizes);
  }

  // The path in `tags` (time): in range, -1 where masked, and of the score that is claimed for it.
  void check_path(std::ptrdiff_t row, const std::int64_t* tags, bool exists, double score) const {
    double sum = 0;
    std::int64_t before = -1;
    for (std::ptrdiff_t t = 0; t < chains_.time; ++t) {
      const std::int64_t tag = tags[t];
      REQUIRE(tag >= -1 && tag < chains_.tags);
      if (!chains_.mask(row, t)) {
        REQUIRE(tag == -1);
        continue;
      }
      REQUIRE(!exists || tag >= 0);
      if (tag < 0) continue;
      sum += static_cast<double>(before < 0 ? chains_.start(tag) : chains_.transitions(before, tag));
      sum += static_cast<double>(chains_.emissions(row, t, tag));
      before = tag;
    }
    if (before >= 0) sum += static_cast<double>(chains_.end(before));
    if (exists && is_comparable(row) && score > -HUGE_VAL)
      REQUIRE(agree(row, static_cast<Real>(sum), static_cast<Real>(score)));
  }

  void check_paths(const Answers<Real>& got, std::ptrdiff_t row) const {
    const auto tags_at = [&](const Array<std::int64_t>& all, std::ptrdiff_t plane) {
      return all.data + (plane * chains_.batch + row) * chains_.time;
    };
    check_path(row, tags_at(got.tags, 0), true, static_cast<double>(got.scores[row]));
    REQUIRE(agree(row, got.scores[row], got.ranked_scores[row]));
    for (std::ptrdiff_t rank = 0; rank < problem_.count; ++rank) {
      const Real score = got.ranked_scores[rank * chains_.batch + row];
      const bool exists = is_comparable(row) && static_cast<double>(score) > -HUGE_VAL;
      check_path(row, tags_at(got.ranked_tags, rank), exists, static_cast<double>(score));
      if (exists && rank > 0)
        REQUIRE(score <= got.ranked_scores[(rank - 1) * chains_.batch + row] ||
                agree(row, score, got.ranked_scores[(rank - 1) * chains_.batch + row]));
    }
    const auto log_z = static_cast<double>(got.sums.log_z[row]);
    for (std::ptrdiff_t sample = 0; sample < problem_.samples; ++sample)
      check_path(row, tags_at(got.samples, sample), is_comparable(row) && log_z > -HUGE_VAL, -HUGE_VAL);
    // The best path is no more than all of them.
    if (is_comparable(row)) {
      REQUIRE((static_cast<double>(got.scores[row]) == -HUGE_VAL) == (log_z == -HUGE_VAL));
      REQUIRE(got.scores[row] <= got.sums.log_z[row] || agree(row, got.scores[row], got.sums.log_z[row]));
    }
  }

  const HostileProblem<Real>& problem_;
  const Chains<Real>& chains_;
  std::vector<RowScores> rows_;
  bool all_comparable_ = true;
  double weights_ = 0;  // the greatest magnitude
};
