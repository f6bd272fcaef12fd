// Hostile choices made from bytes: a fuzzer's, or random ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

// Hands out bytes in their order; after the last one it goes round, each time with other values, so that few
// bytes make a large problem.
class Choices {
 public:
  Choices(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  std::uint8_t byte() {
    if (size_ == 0) return 0;
    const auto value = static_cast<std::uint8_t>(data_[at_ % size_] + 37 * (at_ / size_));
    ++at_;
    return value;
  }

  std::ptrdiff_t below(std::ptrdiff_t limit) { return byte() % limit; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

// Which scores a problem may hold besides ordinary ones, and how often.
template <class Real>
class HostileScores {
 public:
  explicit HostileScores(Choices& choices) : choices_(choices) {
    kinds_ = static_cast<unsigned>(choices.byte() | choices.byte() << 8);
    density_ = static_cast<unsigned>(choices.below(17));
    const double scales[] = {1, 1, 30, 1e4};
    scale_ = scales[choices.below(4)];
  }

  Real next() {
    using limits = std::numeric_limits<Real>;
    constexpr auto inf = limits::infinity();
    constexpr auto nan = limits::quiet_NaN();
    const Real special[16] = {nan,
                              inf,
                              -inf,
                              -nan,
                              -inf,
                              limits::denorm_min(),
                              -limits::denorm_min(),
                              limits::min(),
                              -limits::min(),
                              limits::max(),
                              limits::lowest(),
                              static_cast<Real>(1e38),
                              static_cast<Real>(-1e38),
                              static_cast<Real>(-1e4),
                              static_cast<Real>(700),
                              static_cast<Real>(-0.0)};
    const unsigned drawn = choices_.byte();
    const unsigned kind = drawn >> 4;
    if ((kinds_ >> kind & 1) != 0 && (drawn & 15) < density_) return special[kind];
    return static_cast<Real>((static_cast<double>(drawn) - 128) / 32 * scale_);
  }

 private:
  Choices& choices_;
  unsigned kinds_, density_;
  double scale_;
};
