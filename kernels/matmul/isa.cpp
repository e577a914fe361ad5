#include "matmul.h"

#if defined(PAGODA_X86_64)
#include <cpuid.h>
#endif

namespace pagoda {

namespace {

#if defined(PAGODA_X86_64)

constexpr bool has(unsigned word, int bit) { return (word >> bit) & 1u; }

// The register state that the operating system saves (extended control register 0).
uint64_t saved_state() {
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

// Bit numbers from the Intel Software Developer's Manual, volume 2, CPUID.
Isa detect() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(1, 0, &a, &b, &c, &d)) return Isa::portable;
  const bool osxsave = has(c, 27), avx = has(c, 28), fma = has(c, 12), f16c = has(c, 29);
  if (!osxsave || !avx || !fma || !f16c) return Isa::portable;
  const uint64_t state = saved_state();
  constexpr uint64_t kYmm = 0x06, kZmm = 0xe6;
  if ((state & kYmm) != kYmm) return Isa::portable;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, 5)) return Isa::portable;
  const bool f = has(b, 16), dq = has(b, 17), bw = has(b, 30), vl = has(b, 31), vnni = has(c, 11);
  if (!f || !dq || !bw || !vl || !vnni || (state & kZmm) != kZmm || a < 1) return Isa::avx2;
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !has(a, 5)) return Isa::avx2;  // BF16
  return Isa::avx512;
}

#else

Isa detect() { return Isa::portable; }

#endif

}  // namespace

Isa best_isa() {
  static const Isa isa = detect();
  return isa;
}

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::portable: return "portable";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
  }
  return "unknown";
}

}  // namespace pagoda
