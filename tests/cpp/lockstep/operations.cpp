// The operations as a GPU does them, on the host, in lanes that check each other: the "instruction set"
// lockstep, which is for tests alone (PYBERT_CRF_LOCKSTEP=ON; PYBERT_CRF_ISA=lockstep). It runs the steps of
// cuda/rows.hpp and the rows of chain/ one group of lanes after the other, in groups of the sizes that the
// GPU has.
#include "operations.hpp"

#include <type_traits>

#include "chain/k_best.hpp"
#include "chain/sample.hpp"
#include "chain/viterbi.hpp"
#include "cpu/instruction_sets.hpp"
#include "cuda/rows.hpp"
#include "lockstep/lanes.hpp"

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

// Memory of so many T, each made as T{} is: elements that nobody has written.
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
  Fresh<typename Lanes::Work> memory;
  Parameters parameters;

  explicit ParameterMemory(std::ptrdiff_t tags)
      : memory(parameter_size(Shape<Lanes>(tags))),
        parameters(parameters_at<Parameters>(Shape<Lanes>(tags), memory.data())) {}
};

// The positions of all rows, as a kernel of its own finds them on a GPU.
template <class Real>
struct Positions {
  Fresh<std::ptrdiff_t> positions;
  Fresh<std::ptrdiff_t> lengths;

  explicit Positions(const Chains<Real>& chains)
      : positions(chains.batch * (chains.time + 1)), lengths(chains.batch) {
    for (std::ptrdiff_t row = 0; row < chains.batch; ++row)
      lengths.data()[row] =
          find_chain(chains.mask[row], chains.time, positions.data() + row * (chains.time + 1));
  }

  Row<Real> row(const Chains<Real>& chains, std::ptrdiff_t index) const {
    return ChainPositions{positions.data(), lengths.data()}.row(chains, index);
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
  const Positions<Real> found(chains);
  begin_block();
  ParameterMemory<Lanes, Weights<Lanes>> parameters(chains.tags);
  weigh_parameters(chains, parameters.parameters);
  call.weights = &parameters.parameters;
  const Shape<Lanes>& shape = call.weights->shape;
  const Fresh<double> sums(Counts::size(shape));
  const Counts counts = Counts::at(shape, sums.data());
  const Fresh<double> alphas(chains.time * chains.tags);
  for (std::ptrdiff_t index = 0; index < chains.batch; ++index) {
    begin_block();
    const Row<Real> row = found.row(chains, index);
    const Fresh<typename Lanes::Element> elements(BlockScratch<Lanes, Real>::size(shape));
    const BlockScratch<Lanes, Real> scratch{elements.data(), alphas.data(),
                                            messages + index * chains.time * chains.tags};
    RowState<Lanes> state{};
    if (values) {
      each_group([&](Side side) { sweep_side<Lanes, OneBlock>(call, row, side, scratch, state); });
      take_value<Lanes, OneBlock>(call, row, scratch, state);
    } else {
      recall_value(call, row, scratch, state);
    }
    Lockstep::current().sync_block();
    if (!gradients) continue;
    each_group([&](Side side) { differentiate_side<Lanes, OneBlock>(call, row, side, scratch, state); });
    count_row(call, row, scratch, state, counts);
  }
  for (std::ptrdiff_t i = 0; gradients && i < chains.tags; ++i)
    for (std::ptrdiff_t j = 0; j < chains.tags; ++j)
      store_gradient(*call.weights, i, j, [&](std::ptrdiff_t at) { return sums.data()[at]; }, call.out);
}

// Runs a call that fill(call) completes.
template <class Real, class Fill>
std::ptrdiff_t with_call(const Chains<Real>& chains, const Paths& paths, Real* messages, bool values,
                         bool gradients, const Fill& fill) {
  const std::ptrdiff_t wrong = find_wrong_tag(chains, paths);
  if (wrong >= 0) return wrong;
  with_lanes<double>(chains.tags, [&](auto lanes, auto one_block) {
    Call<decltype(lanes), Real> call{};
    call.chains = chains;
    call.paths = paths;
    fill(call);
    run_rows<decltype(lanes), decltype(one_block)::value>(call, messages, values, gradients);
  });
  return -1;
}

template <class Real>
std::ptrdiff_t log_partition(const Chains<Real>& chains, const Paths& paths, const LogPartition<Real>& out,
                             const cpu::Threads&) {
  return with_call(chains, paths, out.messages, true, false, [&](auto& call) {
    call.value = out.value;
    call.log_z = out.log_z;
  });
}

template <class Real>
std::ptrdiff_t gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad,
                        const Real* messages, const Real* log_z, const Gradient<Real>& out,
                        const cpu::Threads&) {
  return with_call(chains, paths, const_cast<Real*>(messages), false, true, [&](auto& call) {
    call.grad = grad;
    call.log_z = const_cast<Real*>(log_z);
    call.out = out;
  });
}

template <class Real>
std::ptrdiff_t value_and_gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad,
                                  Real* value, const Gradient<Real>& out, const cpu::Threads&) {
  const Fresh<Real> messages(chains.batch * chains.time * chains.tags);
  return with_call(chains, paths, messages.data(), true, true, [&](auto& call) {
    call.grad = grad;
    call.value = value;
    call.out = out;
  });
}

template <class Real>
std::ptrdiff_t viterbi(const Chains<Real>& chains, const BestPaths<Real>& out, const cpu::Threads&) {
  const Positions<Real> found(chains);
  with_lanes<Real>(chains.tags, [&](auto lanes, auto one_block) {
    using Lanes = decltype(lanes);
    using Path = BestPath<Lanes, decltype(one_block)::value, Real>;
    begin_block();
    ParameterMemory<Lanes, Scores<Lanes>> memory(chains.tags);
    const Scores<Lanes>& scores = memory.parameters;
    copy_parameters(chains, 0, scores.shape.rows, memory.parameters);
    for (std::ptrdiff_t index = 0; index < chains.batch; ++index) {
      begin_block();
      const Fresh<typename Lanes::Element> elements(Path::memory_size(chains, scores.shape));
      Path path(chains, scores, found.row(chains, index), out, elements.data());
      const TableInMemory<Lanes> table{scores.shape, scores.table[left]};
      path.find_rest(table, 0, 0);
      path.finish();
    }
  });
  return -1;
}

using WarpLanes = LockstepLanes<double, 32>;

template <class Real>
std::ptrdiff_t k_best(const Chains<Real>& chains, const BestPaths<Real>& out, const cpu::Threads&) {
  const Positions<Real> found(chains);
  const std::ptrdiff_t size = chains.tags * out.count;
  for (std::ptrdiff_t index = 0; index < chains.batch; ++index) {
    begin_block();
    const Fresh<typename WarpLanes::Element> lists(2 * size);
    const Fresh<Origin> origins((chains.time > 0 ? chains.time : 1) * size);
    k_best_of_row<WarpLanes>(chains, found.row(chains, index), out,
                             {lists.data(), lists.data() + size, origins.data()});
  }
  return -1;
}

// Calls run(row, weights, scratch) for each row.
template <class Real, class Run>
std::ptrdiff_t with_log_rows(const Chains<Real>& chains, const Run& run) {
  const Positions<Real> found(chains);
  begin_block();
  ParameterMemory<WarpLanes, Weights<WarpLanes>> weights(chains.tags);
  weigh_parameters(chains, weights.parameters);
  const std::ptrdiff_t padded = weights.parameters.shape.padded;
  for (std::ptrdiff_t index = 0; index < chains.batch; ++index) {
    begin_block();
    const Fresh<typename WarpLanes::Element> elements(LogScratch<WarpLanes>::parts * padded);
    run(found.row(chains, index), weights.parameters, LogScratch<WarpLanes>::at(padded, elements.data()));
  }
  return -1;
}

template <class Real>
std::ptrdiff_t log_alphas(const Chains<Real>& chains, Real* alphas, const cpu::Threads&) {
  return with_log_rows(chains, [&](const auto& row, const auto& weights, const auto& scratch) {
    log_alphas_of_row(weights, chains, row, scratch, alphas + row.index * chains.time * chains.tags);
  });
}

template <class Real>
std::ptrdiff_t sample(const Chains<Real>& chains, const Samples& out, const cpu::Threads&) {
  const Fresh<double> alphas(chains.time * chains.tags);
  return with_log_rows(chains, [&](const auto& row, const auto& weights, const auto& scratch) {
    samples_of_row(weights, chains, row, out, alphas.data(), scratch);
  });
}

template <class Real>
constexpr Operations<Real, cpu::Threads> operations = {
    log_partition<Real>, gradient<Real>, value_and_gradient<Real>, viterbi<Real>, k_best<Real>,
    log_alphas<Real>,    sample<Real>};

}  // namespace

extern const Operations<float, cpu::Threads> operations_float = operations<float>;
extern const Operations<double, cpu::Threads> operations_double = operations<double>;

}  // namespace pybert_crf::PYBERT_CRF_TARGET
