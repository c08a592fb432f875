// What every target asserts with: a property that does not hold is a crash.
#pragma once

#include <cstdlib>

inline void require(bool holds) {
  if (!holds) std::abort();
}
