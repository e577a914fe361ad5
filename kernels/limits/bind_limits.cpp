// Python's view of the machine's limits.
#include <nanobind/nanobind.h>

#include "machine_limits.h"

namespace nb = nanobind;
using namespace nb::literals;

void bind_limits(nb::module_& m);

void bind_limits(nb::module_& m) {
  m.def(
      "measure_limits",
      [](double seconds, int threads) {
        pagoda::MachineLimits found;
        {
          nb::gil_scoped_release released;
          found = pagoda::measure_limits(seconds, threads);
        }
        nb::dict limits;
        limits["read_gb_s"] = found.read_gb_s;
        limits["int8_gop_s"] = found.int8_gop_s;
        limits["bf16_gflop_s"] = found.bf16_gflop_s;
        limits["f32_gflop_s"] = found.f32_gflop_s;
        return limits;
      },
      "seconds"_a, "threads"_a,
      "What the machine can do at most with that many threads, in 10^9 a second: memory reads (bytes) and int8, bf16 "
      "and float32 multiplies and adds. Takes about `seconds` and 256 MiB.");
}
