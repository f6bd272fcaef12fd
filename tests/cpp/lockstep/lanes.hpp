// A group of lanes as a GPU has them, on the host: for tests. The lanes take every step together, and each
// number they publish knows who wrote it and when, so that what only happens to work in lockstep is an error:
// reading what another lane wrote before the group has synchronised, or writing over what another lane has
// read since.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>

#include "lanes/math.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The block at work in this thread: which of its two groups acts, which of that group's lanes (or all of
// them), and when each group last synchronised.
struct Lockstep {
  static constexpr int everyone = -1;
  int group = 0;
  int lane = everyone;
  std::uint32_t now = 1;
  std::uint32_t group_synchronised[2] = {0, 0};
  std::uint32_t block_synchronised = 0;

  static Lockstep& current() {
    thread_local Lockstep state;
    return state;
  }

  void sync_group() { group_synchronised[group] = now++; }
  void sync_block() { block_synchronised = now++; }

  // Whether what a group did at a time is over for the lanes of the acting group.
  bool over(int other, std::uint32_t time) const {
    return time <= block_synchronised || (other == group && time <= group_synchronised[group]);
  }
};

// A number that lanes publish.
template <class Number>
class CheckedElement {
 public:
  CheckedElement() = default;
  CheckedElement(const CheckedElement& other) { *this = static_cast<Number>(other); }

  operator Number() const {  // NOLINT: a cell is read as the number that it is
    read(Lockstep::current().lane);
    return number_;
  }

  CheckedElement& operator=(Number number) {
    write(Lockstep::current().lane, number);
    return *this;
  }
  CheckedElement& operator=(const CheckedElement& other) { return *this = static_cast<Number>(other); }
  CheckedElement& operator+=(Number more) { return *this = static_cast<Number>(*this) + more; }

  Number read(int lane) const {
    const Lockstep& block = Lockstep::current();
    const bool own = writer_group_ == block.group && writer_ == lane && lane != Lockstep::everyone;
    if (written_ == 0) throw std::logic_error("lockstep: read of a number that nobody wrote");
    if (!own && !block.over(writer_group_, written_))
      throw std::logic_error("lockstep: read of a number that was not published");
    reader_ =
        read_ == block.now && (reader_ != lane || reader_group_ != block.group) ? Lockstep::everyone : lane;
    reader_group_ = block.group;
    read_ = block.now;
    return number_;
  }

  void write(int lane, Number number) {
    const Lockstep& block = Lockstep::current();
    const bool mine = writer_group_ == block.group && writer_ == lane && lane != Lockstep::everyone;
    if (lane == Lockstep::everyone) throw std::logic_error("lockstep: all lanes write one number");
    if (written_ != 0 && !mine && !block.over(writer_group_, written_))
      throw std::logic_error("lockstep: two lanes write one number");
    if (read_ != 0 && !(reader_group_ == block.group && reader_ == lane) && !block.over(reader_group_, read_))
      throw std::logic_error("lockstep: write over a number that another lane may yet have to read");
    number_ = number;
    writer_ = lane;
    writer_group_ = block.group;
    written_ = block.now;
  }

 private:
  Number number_ = std::numeric_limits<Number>::quiet_NaN();
  int writer_ = Lockstep::everyone;
  int writer_group_ = 0;
  mutable int reader_ = Lockstep::everyone;
  mutable int reader_group_ = 0;
  std::uint32_t written_ = 0;
  mutable std::uint32_t read_ = 0;
};

// The names are those of lanes/cpu.hpp and lanes/cuda.cuh.
template <class Number, int Width>
struct LockstepLanes {
  using Work = Number;
  using Element = CheckedElement<Number>;
  using Bits = typename Format<Number>::Bits;
  static constexpr std::ptrdiff_t width = Width;
  static constexpr std::ptrdiff_t partials = 4;
  static constexpr bool keeps_table = false;

  struct Values {
    Work of[Width];

    friend Values operator+(const Values& a, const Values& b) {
      return by_lane([&](int lane) { return a.of[lane] + b.of[lane]; });
    }
    friend Values operator-(const Values& a, const Values& b) {
      return by_lane([&](int lane) { return a.of[lane] - b.of[lane]; });
    }
    friend Values operator*(const Values& a, const Values& b) {
      return by_lane([&](int lane) { return a.of[lane] * b.of[lane]; });
    }
  };

  template <class Make>
  static Values by_lane(const Make& make) {
    Values values;
    for (int lane = 0; lane < Width; ++lane) values.of[lane] = make(lane);
    return values;
  }

  static void sync() { Lockstep::current().sync_group(); }

  static std::ptrdiff_t segment_steps(std::ptrdiff_t) { return Width < 32 ? 16 : 8; }

  template <class Do>
  static void each(std::ptrdiff_t count, const Do& work) {
    for (int lane = 0; lane < Width && lane < count; ++lane) {
      const As acting(lane);
      for (std::ptrdiff_t j = lane; j < count; j += Width) work(j);
    }
  }

  template <class Do>
  static void in_lane_of(std::ptrdiff_t j, const Do& work) {
    const As acting(static_cast<int>(j % Width));
    work();
  }

  template <class Score>
  static double greatest_of(std::ptrdiff_t count, const Score& score) {
    double top = -std::numeric_limits<double>::infinity();
    each(count, [&](std::ptrdiff_t j) {
      const double here = score(j);
      top = here > top ? here : top;
    });
    return top;
  }

  template <class Score>
  static double sum_of(std::ptrdiff_t count, const Score& score) {
    double sums[Width] = {};
    each(count, [&](std::ptrdiff_t j) { sums[j % Width] += score(j); });
    return reduce(sums, [](double a, double b) { return a + b; });
  }

  template <class Test>
  static bool any_of(std::ptrdiff_t count, const Test& test) {
    bool any = false;
    each(count, [&](std::ptrdiff_t j) { any |= test(j); });
    return any;
  }

  template <class Spread, class Add>
  static Spread spread_of(std::ptrdiff_t count, const Add& add) {
    Spread spread;
    each(count, [&](std::ptrdiff_t j) { add(spread, j); });
    return spread;
  }

  static Values all(Work number) {
    return by_lane([&](int) { return number; });
  }

  static Values load(const Element* from) {
    return by_lane([&](int lane) { return from[lane].read(lane); });
  }
  template <class Real>
  static Values load(const Real* from) {
    return by_lane([&](int lane) { return static_cast<Work>(from[lane]); });
  }
  template <class Real>
  static Values load_some(const Real* from, std::ptrdiff_t count) {
    return gather_some(from, 1, count);
  }
  template <class Real>
  static Values gather_some(const Real* from, std::ptrdiff_t stride, std::ptrdiff_t count) {
    return by_lane([&](int lane) { return lane < count ? static_cast<Work>(from[lane * stride]) : Work{0}; });
  }

  static void store(Element* to, const Values& values) {
    for (int lane = 0; lane < Width; ++lane) to[lane].write(lane, values.of[lane]);
  }
  template <class Real>
  static void store(Real* to, const Values& values) {
    store_some(to, values, Width);
  }
  template <class Real>
  static void store_some(Real* to, const Values& values, std::ptrdiff_t count) {
    for (int lane = 0; lane < Width && lane < count; ++lane) to[lane] = static_cast<Real>(values.of[lane]);
  }
  static void store_one(Element* to, Work number) { to->write(0, number); }

  template <int degree = Format<Work>::exp_degree>
  static Values exp(Values x) {
    exp_registers<Work, Work, Bits, Width, degree>(x.of, x.of);
    return x;
  }
  template <int degree = Format<Work>::exp_degree>
  static void exp_all(Element* numbers, std::ptrdiff_t size) {
    for (std::ptrdiff_t at = 0; at < size; at += Width) store(numbers + at, exp<degree>(load(numbers + at)));
  }
  static Values log(const Values& x) {
    return by_lane([&](int lane) { return log_register<Work, Work, Bits>(x.of[lane]); });
  }

  static Values max(const Values& a, const Values& b) {
    return by_lane([&](int lane) { return a.of[lane] > b.of[lane] ? a.of[lane] : b.of[lane]; });
  }
  static Values least_positive(const Values& least, const Values& values) {
    return by_lane([&](int lane) {
      return values.of[lane] > Work{0} && values.of[lane] < least.of[lane] ? values.of[lane] : least.of[lane];
    });
  }
  static Values least_finite(const Values& least, const Values& values) {
    constexpr Work nothing = -std::numeric_limits<Work>::infinity();
    return by_lane([&](int lane) {
      return values.of[lane] > nothing && values.of[lane] < least.of[lane] ? values.of[lane] : least.of[lane];
    });
  }
  static Values fma(const Values& a, const Values& b, const Values& c) {
    return by_lane([&](int lane) { return a.of[lane] * b.of[lane] + c.of[lane]; });
  }

  static Work greatest(const Values& values) {
    return reduce(values.of, [](Work a, Work b) { return a > b ? a : b; });
  }
  static Work least(const Values& values) {
    return reduce(values.of, [](Work a, Work b) { return a < b ? a : b; });
  }
  static Work sum(const Values& values) {
    return reduce(values.of, [](Work a, Work b) { return a + b; });
  }
  static std::ptrdiff_t first_equal(const Values& values, Work number, std::ptrdiff_t none) {
    std::ptrdiff_t lane = 0;
    while (lane < width && !(values.of[lane] == number)) ++lane;
    return lane < width ? lane : none;
  }

 private:
  // Lets one lane act for as long as it lives.
  class As {
   public:
    explicit As(int lane) { Lockstep::current().lane = lane; }
    As(const As&) = delete;
    As& operator=(const As&) = delete;
    ~As() { Lockstep::current().lane = Lockstep::everyone; }
  };

  // In the order of lanes/cuda.cuh: across a warp in a butterfly, then over the warps.
  template <class T, class Operation>
  static T reduce(const T* from, Operation operation) {
    constexpr int part = Width < 32 ? Width : 32;
    T result{};
    for (int warp = 0; warp < Width / part; ++warp) {
      T lanes[part];
      for (int lane = 0; lane < part; ++lane) lanes[lane] = from[warp * part + lane];
      for (int distance = part / 2; distance > 0; distance /= 2) {
        T before[part];
        for (int lane = 0; lane < part; ++lane) before[lane] = lanes[lane];
        for (int lane = 0; lane < part; ++lane)
          lanes[lane] = operation(before[lane], before[lane ^ distance]);
      }
      result = warp == 0 ? lanes[0] : operation(result, lanes[0]);
    }
    return result;
  }
};

}  // namespace pybert_crf::PYBERT_CRF_TARGET
