#include "peaks.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define PAGODA_X86 1
#include <immintrin.h>
#endif

namespace pagoda::peaks {
namespace {

// Independent sums, enough to fill two units of five cycles' latency each.
constexpr int kChains = 12;
constexpr int64_t kRepeats = 8;  // of all chains between looks at the count

// Hides from the compiler that sums and operands are known, so that nothing is folded or left out.
#define PAGODA_HIDE_X86(value) asm volatile("" : "+v"(value))

template <typename Vector>
void keep(const Vector* sums, uint32_t* sink) {
  for (int c = 0; c < kChains; ++c) {
    uint32_t word;
    std::memcpy(&word, &sums[c], sizeof word);
    *sink ^= word;
  }
}

#ifdef PAGODA_X86
#define PAGODA_VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define PAGODA_BF16 __attribute__((target("avx512f,avx512bw,avx512bf16")))
#define PAGODA_AVX512 __attribute__((target("avx512f")))
#define PAGODA_AVX2 __attribute__((target("avx2,fma")))

// Repeats `step`, which makes `each` operations on sums[c], until there are enough of them.
#define PAGODA_REPEAT(each, step)                                      \
  int64_t done = 0;                                                    \
  for (; done < operations; done += int64_t{each} * kChains * kRepeats) \
    for (int64_t i = 0; i < kRepeats; ++i)                             \
      for (int c = 0; c < kChains; ++c) {                              \
        step;                                                          \
        PAGODA_HIDE_X86(sums[c]);                                      \
      }

PAGODA_VNNI int64_t int8_avx512(int64_t operations, uint32_t* sink) {
  __m512i a = _mm512_set1_epi8(1), b = a, sums[kChains] = {};
  PAGODA_HIDE_X86(a);
  PAGODA_HIDE_X86(b);
  PAGODA_REPEAT(128, sums[c] = _mm512_dpbusd_epi32(sums[c], a, b))
  keep(sums, sink);
  return done;
}

PAGODA_BF16 int64_t bf16_avx512(int64_t operations, uint32_t* sink) {
  __m512i bits = _mm512_set1_epi16(0x3f80);  // 1.0
  PAGODA_HIDE_X86(bits);
  const __m512bh a = reinterpret_cast<__m512bh>(bits), b = a;
  __m512 sums[kChains] = {};
  PAGODA_REPEAT(64, sums[c] = _mm512_dpbf16_ps(sums[c], a, b))
  keep(sums, sink);
  return done;
}

PAGODA_AVX512 int64_t f32_avx512(int64_t operations, uint32_t* sink) {
  __m512 a = _mm512_set1_ps(0.5f), b = a, sums[kChains] = {};
  PAGODA_HIDE_X86(a);
  PAGODA_HIDE_X86(b);
  PAGODA_REPEAT(32, sums[c] = _mm512_fmadd_ps(a, b, sums[c]))
  keep(sums, sink);
  return done;
}

PAGODA_AVX2 int64_t int8_avx2(int64_t operations, uint32_t* sink) {
  __m256i a = _mm256_set1_epi8(1), b = a, ones = _mm256_set1_epi16(1), sums[kChains] = {};
  PAGODA_HIDE_X86(a);
  PAGODA_HIDE_X86(b);
  PAGODA_HIDE_X86(ones);
  // The operand is hidden anew each time: the product must be made again.
  PAGODA_REPEAT(64, __m256i fresh = a; PAGODA_HIDE_X86(fresh);
                sums[c] = _mm256_add_epi32(sums[c], _mm256_madd_epi16(_mm256_maddubs_epi16(fresh, b), ones)))
  keep(sums, sink);
  return done;
}

PAGODA_AVX2 int64_t f32_avx2(int64_t operations, uint32_t* sink) {
  __m256 a = _mm256_set1_ps(0.5f), b = a, sums[kChains] = {};
  PAGODA_HIDE_X86(a);
  PAGODA_HIDE_X86(b);
  PAGODA_REPEAT(16, sums[c] = _mm256_fmadd_ps(a, b, sums[c]))
  keep(sums, sink);
  return done;
}
#endif

// Any processor: arrays that the compiler vectorises for the baseline.
template <typename In, typename Sum>
int64_t portable(int64_t operations, uint32_t* sink) {
  constexpr int kLanes = 64;
  volatile In hidden = 1;
  In a[kLanes], b[kLanes];
  Sum sums[kLanes] = {};
  for (int j = 0; j < kLanes; ++j) a[j] = hidden, b[j] = hidden;
  int64_t done = 0;
  for (; done < operations; done += 2 * kLanes) {
    for (int j = 0; j < kLanes; ++j) sums[j] += static_cast<Sum>(a[j]) * static_cast<Sum>(b[j]);
    asm volatile("" : : "r"(a), "r"(b), "r"(sums) : "memory");
  }
  keep(reinterpret_cast<const Sum(*)[1]>(sums), sink);
  return done;
}

}  // namespace

int64_t run(Kind kind, int64_t operations, uint32_t* sink) {
#ifdef PAGODA_X86
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  switch (kind) {
    case Kind::int8:
      if (avx512 && __builtin_cpu_supports("avx512vnni")) return int8_avx512(operations, sink);
      if (avx2) return int8_avx2(operations, sink);
      break;
    case Kind::bf16:
      if (avx512 && __builtin_cpu_supports("avx512bf16")) return bf16_avx512(operations, sink);
      [[fallthrough]];
    case Kind::f32:
      if (avx512) return f32_avx512(operations, sink);
      if (avx2) return f32_avx2(operations, sink);
      break;
  }
#endif
  if (kind == Kind::int8) return portable<int8_t, int32_t>(operations, sink);
  return portable<float, float>(operations, sink);
}

}  // namespace pagoda::peaks
