#include "peaks.h"

#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#define PAGODA_X86 1
#include <immintrin.h>
#endif

namespace pagoda::peaks {
namespace {

// Hides from the compiler what a value is, so that nothing is folded or left out.
#define PAGODA_HIDE(value) asm volatile("" : "+v"(value))

template <typename Vector>
void keep(const Vector& sum, uint32_t* sink) {
  uint32_t word;
  std::memcpy(&word, &sum, sizeof word);
  *sink ^= word;
}

#ifdef PAGODA_X86
#define PAGODA_VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define PAGODA_BF16 __attribute__((target("avx512f,avx512bw,avx512bf16")))
#define PAGODA_AVX512 __attribute__((target("avx512f")))
#define PAGODA_AVX2 __attribute__((target("avx2,fma")))

// Twelve independent sums, enough to fill two units of five cycles' latency each. They are variables rather than an
// array, which compilers leave in memory.
#define PAGODA_ALL(what) \
  what(s0) what(s1) what(s2) what(s3) what(s4) what(s5) what(s6) what(s7) what(s8) what(s9) what(s10) what(s11)
#define PAGODA_CLEAR(sum) decltype(zero) sum = zero;
#define PAGODA_KEEP(sum) keep(sum, sink);

// The body of a loop function: repeats `step(sum)`, which makes `each` operations, until there are enough of them.
#define PAGODA_LOOP(each, step)                               \
  PAGODA_ALL(PAGODA_CLEAR)                                    \
  int64_t done = 0;                                           \
  for (; done < operations; done += int64_t{each} * 12 * 8)   \
    for (int repeat = 0; repeat < 8; ++repeat) {              \
      PAGODA_ALL(step)                                        \
    }                                                         \
  PAGODA_ALL(PAGODA_KEEP)                                     \
  return done;

PAGODA_VNNI int64_t int8_avx512(int64_t operations, uint32_t* sink) {
  __m512i zero = _mm512_setzero_si512(), a = _mm512_set1_epi8(1);
  PAGODA_HIDE(a);
#define PAGODA_STEP(sum) sum = _mm512_dpbusd_epi32(sum, a, a); PAGODA_HIDE(sum);
  PAGODA_LOOP(128, PAGODA_STEP)
#undef PAGODA_STEP
}

PAGODA_BF16 int64_t bf16_avx512(int64_t operations, uint32_t* sink) {
  __m512 zero = _mm512_setzero_ps();
  __m512i bits = _mm512_set1_epi16(0x3f80);  // 1.0
  PAGODA_HIDE(bits);
  const __m512bh a = reinterpret_cast<__m512bh>(bits);
#define PAGODA_STEP(sum) sum = _mm512_dpbf16_ps(sum, a, a); PAGODA_HIDE(sum);
  PAGODA_LOOP(64, PAGODA_STEP)
#undef PAGODA_STEP
}

PAGODA_AVX512 int64_t f32_avx512(int64_t operations, uint32_t* sink) {
  __m512 zero = _mm512_setzero_ps(), a = _mm512_set1_ps(0.5f);
  PAGODA_HIDE(a);
#define PAGODA_STEP(sum) sum = _mm512_fmadd_ps(a, a, sum); PAGODA_HIDE(sum);
  PAGODA_LOOP(32, PAGODA_STEP)
#undef PAGODA_STEP
}

PAGODA_AVX2 int64_t int8_avx2(int64_t operations, uint32_t* sink) {
  __m256i zero = _mm256_setzero_si256(), a = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
  PAGODA_HIDE(a);
  PAGODA_HIDE(ones);
  __m256i product;
  // The product is hidden, since it would be the same each time.
#define PAGODA_STEP(sum)                                            \
  product = _mm256_maddubs_epi16(a, a);                             \
  PAGODA_HIDE(product);                                             \
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(product, ones));    \
  PAGODA_HIDE(sum);
  PAGODA_LOOP(64, PAGODA_STEP)
#undef PAGODA_STEP
}

PAGODA_AVX2 int64_t f32_avx2(int64_t operations, uint32_t* sink) {
  __m256 zero = _mm256_setzero_ps(), a = _mm256_set1_ps(0.5f);
  PAGODA_HIDE(a);
#define PAGODA_STEP(sum) sum = _mm256_fmadd_ps(a, a, sum); PAGODA_HIDE(sum);
  PAGODA_LOOP(16, PAGODA_STEP)
#undef PAGODA_STEP
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
  for (const Sum& sum : sums) keep(sum, sink);
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
