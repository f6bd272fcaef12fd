// The operations as a GPU does them, on the host, in lanes that check each other: the "instruction set"
// lockstep, which is for tests alone (PYBERT_CRF_LOCKSTEP=ON; PYBERT_CRF_ISA=lockstep). It runs the texts of
// cuda/rows.hpp and cuda/paths.hpp, group after group, in groups of the sizes that the GPU has.
#include "lanes/lockstep.hpp"

#include <type_traits>

#include "chain.hpp"
#include "chain/k_best.hpp"
#include "chain/sample.hpp"
#include "cpu/instruction_sets.hpp"
#include "cpu/parallel.hpp"
#include "cuda/paths.hpp"
#include "cuda/rows.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

namespace {

template <class Work, class Run>
void with_lanes(std::ptrdiff_t tags, const Run& run) {
  if (tags <= 8) {
    run(LockstepLanes<Work, 8>{}, std::true_type{});
  } else if (tags <= 16) {
    run(LockstepLanes<Work, 16>{}, std::true_type{});
  } else if (tags <= 32) {
    run(LockstepLanes<Work, 32>{}, std::true_type{});
  } else {
    run(LockstepLanes<Work, 128>{}, std::false_type{});
  }
}

// Memory of so many T, each made as T{} is: cells that nobody has written.
template <class T>
class Fresh {
 public:
  explicit Fresh(std::ptrdiff_t size) : data_(new T[static_cast<std::size_t>(size > 0 ? size : 1)]{}) {}
  Fresh(const Fresh&) = delete;
  Fresh& operator=(const Fresh&) = delete;
  ~Fresh() { delete[] data_; }
  T* data() const { return data_; }

 private:
  T* data_;
};

template <class Lanes, class Parameters>
struct ParameterMemory {
  Shape<Lanes> shape;
  Fresh<typename Lanes::Work> memory;
  Parameters parameters;

  explicit ParameterMemory(std::ptrdiff_t tags)
      : shape(tags), memory(2 * shape.table() + 3 * shape.padded), parameters{shape} {
    auto* at = memory.data();
    for (int side = left; side <= right; ++side, at += shape.table()) parameters.table[side] = at;
    for (int side = left; side <= right; ++side, at += shape.padded) parameters.boundary[side] = at;
    parameters.beyond = at;
  }
};

// As kernels do: each row's positions, and a tag that is none.
template <class Real>
struct Positions {
  Fresh<std::ptrdiff_t> positions;
  Fresh<std::ptrdiff_t> lengths;
  std::ptrdiff_t wrong = -1;

  Positions(const Chains<Real>& chains, const Paths& paths)
      : positions(chains.batch * (chains.time + 1)), lengths(chains.batch) {
    for (std::ptrdiff_t row = 0; row < chains.batch; ++row) {
      std::ptrdiff_t* own = positions.data() + row * (chains.time + 1);
      lengths.data()[row] = find_chain(chains.mask[row], chains.time, own);
      if (paths.data == nullptr || wrong >= 0) continue;
      const std::ptrdiff_t here = find_wrong_tag(paths[row], chains.mask[row], chains.time, chains.tags);
      if (here >= 0) wrong = row * chains.time + here;
    }
  }

  Row<Real> row(const Chains<Real>& chains, std::ptrdiff_t index) const {
    return {chains.emissions[index], positions.data() + index * (chains.time + 1), lengths.data()[index],
            chains.tags};
  }
};

// Lets a block begin; its groups act one after the other, up to where the block synchronises.
void begin_block() {
  Lockstep::current() = Lockstep{};
}

template <class Do>
void each_group(const Do& work) {
  for (int side = left; side <= right; ++side) {
    Lockstep::current().group = side;
    work(static_cast<Side>(side));
  }
  Lockstep::current().group = 0;
  Lockstep::current().sync_block();
}

// rows_kernel of cuda/rows.cuh, with one worker.
template <class Lanes, bool OneBlock, class Real>
void run_rows(Call<Lanes, Real>& call, Real* messages, bool values, bool gradients) {
  const Chains<Real>& chains = call.chains;
  begin_block();
  ParameterMemory<Lanes, Weights<Lanes>> parameters(chains.tags);
  weigh_parameters(chains, parameters.parameters);
  call.weights = &parameters.parameters;
  const Shape<Lanes>& shape = parameters.shape;
  const Fresh<double> all_counts(counts_size(shape));
  const Counts counts = counts_at(shape, all_counts.data());
  const Fresh<double> alphas(chains.time * chains.tags);
  for (std::ptrdiff_t index = 0; index < chains.batch; ++index) {
    begin_block();
    const Fresh<typename Lanes::Cell> cells(RowScratch<Lanes, Real>::cells_for(shape));
    const RowScratch<Lanes, Real> scratch{cells.data(), alphas.data(),
                                          messages + index * chains.time * chains.tags};
    RowState<Lanes> state{};
    if (values) {
      each_group([&](Side side) { sweep_side<Lanes, OneBlock>(call, index, side, scratch, state); });
      take_value<Lanes, OneBlock>(call, index, scratch, state);
    } else {
      recall_value(call, index, scratch, state);
    }
    Lockstep::current().sync_block();
    if (!gradients) continue;
    each_group([&](Side side) { differentiate_side<Lanes, OneBlock>(call, index, side, scratch, state); });
    count_row<Lanes, OneBlock>(call, index, scratch, state, counts);
  }
  for (std::ptrdiff_t i = 0; gradients && i < chains.tags; ++i)
    for (std::ptrdiff_t j = 0; j < chains.tags; ++j)
      reduce_counts(parameters.parameters, all_counts.data(), counts_size(shape), 1, i, j, call.out);
}

template <class Real, class Fill>
std::ptrdiff_t with_call(const Chains<Real>& chains, const Paths& paths, Real* messages, bool values,
                         bool gradients, const Fill& fill) {
  const Positions<Real> found(chains, paths);
  if (found.wrong >= 0) return found.wrong;
  with_lanes<double>(chains.tags, [&](auto lanes, auto one_block) {
    Call<decltype(lanes), Real> call{};
    call.chains = chains;
    call.paths = paths;
    call.positions = found.positions.data();
    call.lengths = found.lengths.data();
    fill(call);
    run_rows<decltype(lanes), decltype(one_block)::value>(call, messages, values, gradients);
  });
  return -1;
}

template <class Real>
std::ptrdiff_t log_partition(const Chains<Real>& chains, const Paths& paths, const LogPartition<Real>& out,
                             int) {
  return with_call(chains, paths, out.messages, true, false, [&](auto& call) {
    call.value = out.value;
    call.log_z = out.log_z;
  });
}

template <class Real>
void gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad, const Real* messages,
              const Real* log_z, const Gradient<Real>& out, int) {
  with_call(chains, paths, const_cast<Real*>(messages), false, true, [&](auto& call) {
    call.grad = grad;
    call.log_z = const_cast<Real*>(log_z);
    call.out = out;
  });
}

template <class Real>
std::ptrdiff_t value_and_gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad,
                                  Real* value, const Gradient<Real>& out, int) {
  const Fresh<Real> messages(chains.batch * chains.time * chains.tags);
  return with_call(chains, paths, messages.data(), true, true, [&](auto& call) {
    call.grad = grad;
    call.value = value;
    call.out = out;
  });
}

template <class Real>
void viterbi(const Chains<Real>& chains, const BestPaths<Real>& out, int) {
  const Positions<Real> found(chains, {nullptr, {0, 0}});
  with_lanes<Real>(chains.tags, [&](auto lanes, auto one_block) {
    using Lanes = decltype(lanes);
    begin_block();
    ParameterMemory<Lanes, Scores<Lanes>> scores(chains.tags);
    copy_parameters(chains, 0, scores.shape.rows, scores.parameters);
    for (std::ptrdiff_t index = 0; index < chains.batch; ++index) {
      begin_block();
      const Fresh<typename Lanes::Cell> memory(2 * chains.time * scores.shape.padded);
      best_path_of_row<Lanes, decltype(one_block)::value>(chains, scores.parameters, found.row(chains, index),
                                                          index, out, memory.data());
    }
  });
}

using WarpLanes = LockstepLanes<double, 32>;

template <class Real>
void k_best(const Chains<Real>& chains, const BestPaths<Real>& out, int) {
  const Positions<Real> found(chains, {nullptr, {0, 0}});
  const std::ptrdiff_t size = chains.tags * out.count;
  for (std::ptrdiff_t index = 0; index < chains.batch; ++index) {
    begin_block();
    const Fresh<typename WarpLanes::Cell> lists(2 * size);
    const Fresh<Origin> origins((chains.time > 0 ? chains.time : 1) * size);
    k_best_of_row<WarpLanes>(chains, found.row(chains, index), index, out,
                             {lists.data(), lists.data() + size, origins.data()});
  }
}

// Calls run(row, index, weights, scratch) for each row.
template <class Real, class Run>
void with_log_rows(const Chains<Real>& chains, const Run& run) {
  const Positions<Real> found(chains, {nullptr, {0, 0}});
  begin_block();
  ParameterMemory<WarpLanes, Weights<WarpLanes>> weights(chains.tags);
  weigh_parameters(chains, weights.parameters);
  for (std::ptrdiff_t index = 0; index < chains.batch; ++index) {
    begin_block();
    const Fresh<typename WarpLanes::Cell> cells(LogScratch<WarpLanes>::parts * weights.shape.padded);
    run(found.row(chains, index), index, weights.parameters,
        LogScratch<WarpLanes>::at(weights.shape.padded, cells.data()));
  }
}

template <class Real>
LogChain<Real> log_chain(const Chains<Real>& chains) {
  return {chains.transitions, chains.start, chains.end};
}

template <class Real>
void log_alphas(const Chains<Real>& chains, Real* alphas, int) {
  with_log_rows(chains, [&](const auto& row, std::ptrdiff_t index, const auto& weights, const auto& scratch) {
    Real* const own = alphas + index * chains.time * chains.tags;
    fill_masked<WarpLanes>(chains, index, chains.tags, own, Real{0});
    if (row.length > 0)
      log_forward(weights, log_chain(chains), row, scratch,
                  [&](std::ptrdiff_t i, std::ptrdiff_t j, double alpha) {
                    own[row.positions[i] * row.tags + j] = static_cast<Real>(alpha);
                  });
  });
}

template <class Real>
void sample(const Chains<Real>& chains, const Samples& out, int) {
  const Fresh<double> alphas(chains.time * chains.tags);
  with_log_rows(chains, [&](const auto& row, std::ptrdiff_t index, const auto& weights, const auto& scratch) {
    samples_of_row(weights, log_chain(chains), row, chains, index, out, alphas.data(), scratch);
  });
}

template <class Real>
constexpr cpu::Operations<Real> operations = {log_partition<Real>, gradient<Real>, value_and_gradient<Real>,
                                              viterbi<Real>,       k_best<Real>,   log_alphas<Real>,
                                              sample<Real>};

}  // namespace

extern const cpu::Operations<float> operations_float = operations<float>;
extern const cpu::Operations<double> operations_double = operations<double>;

}  // namespace pybert_crf::PYBERT_CRF_TARGET
