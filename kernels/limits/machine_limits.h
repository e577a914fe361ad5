// What this machine can do at most, measured: the figures that speeds are compared with.
#pragma once

namespace pagoda {

// Rates of `threads` threads together, in 10^9 a second. A multiply and an add are two operations. Each is the best
// rate seen over short rounds that all threads start together, with the widest instructions the processor has.
struct MachineLimits {
  double read_gb_s;    // bytes read from a buffer larger than the caches
  double int8_gop_s;   // int8 products summed in int32
  double bf16_gflop_s; // bfloat16 products summed in float32; those of float32 where there is no such instruction
  double f32_gflop_s;  // float32
};

// Takes about `seconds` and 256 MiB of memory. Throws std::invalid_argument when seconds is not positive or threads is
// not in 1..1024, std::bad_alloc when memory is short.
MachineLimits measure_limits(double seconds, int threads);

}  // namespace pagoda
