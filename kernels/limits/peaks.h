// Loops that do nothing but multiply and add in registers.
#pragma once

#include <cstdint>

namespace pagoda::peaks {

enum class Kind { int8, bf16, f32 };

// Runs at least `operations` multiplies and adds; returns how many were run. `sink` gets a value that depends on all
// of them, so that none can be left out.
int64_t run(Kind kind, int64_t operations, uint32_t* sink);

}  // namespace pagoda::peaks
