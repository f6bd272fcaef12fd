// The checked lanes themselves: each way of relying on lockstep is an error, and what is published is none.
#define PYBERT_CRF_TARGET lockstep
#include <stdexcept>

#include "check.hpp"
#include "lockstep/lanes.hpp"

using namespace pybert_crf::lockstep;
using Lanes = LockstepLanes<double, 8>;
using Element = Lanes::Element;

template <class Do>
bool is_error(const Do& work) {
  Lockstep::current() = Lockstep{};
  try {
    work();
  } catch (const std::logic_error&) {
    return true;
  }
  return false;
}

double sum(const Element* elements) {
  double total = 0;
  for (int i = 0; i < 8; ++i) total += elements[i];
  return total;
}

int main() {
  CHECK(is_error([] {  // nobody wrote
    Element elements[8];
    Lanes::load(elements);
  }));
  CHECK(is_error([] {  // a lane reads what another wrote just now
    Element elements[8];
    Lanes::store(elements, Lanes::all(1));
    sum(elements);
  }));
  CHECK(is_error([] {  // the same, in work by lanes
    Element elements[8];
    Lanes::store(elements, Lanes::all(1));
    Lanes::each(8, [&](std::ptrdiff_t j) { static_cast<void>(static_cast<double>(elements[7 - j])); });
  }));
  CHECK(is_error([] {  // a lane writes over what another may yet have to read
    Element elements[8];
    Lanes::store(elements, Lanes::all(1));
    Lanes::sync();
    sum(elements);
    Lanes::store(elements, Lanes::all(2));
  }));
  CHECK(is_error([] {  // two lanes write one number
    Element elements[8];
    Lanes::store(elements, Lanes::all(1));
    Lanes::each(8, [&](std::ptrdiff_t) { elements[0] = 1; });
  }));
  CHECK(is_error([] {  // all lanes write one number
    Element cell;
    cell = 1;
  }));
  CHECK(is_error([] {  // a group's own barrier says nothing to the other group
    Element elements[8];
    Lanes::store(elements, Lanes::all(1));
    Lanes::sync();
    Lockstep::current().group = 1;
    sum(elements);
  }));
  CHECK(!is_error([] {
    Element elements[8];
    Lanes::store(elements, Lanes::all(1));
    Lanes::load(elements);  // each lane its own
    Lanes::sync();
    CHECK(sum(elements) == 8);
    Lanes::sync();
    Lanes::store(elements, Lanes::all(2));
    Lockstep::current().sync_block();
    Lockstep::current().group = 1;
    CHECK(sum(elements) == 16);
    Lanes::sync();
  }));
  return report("lockstep");
}
