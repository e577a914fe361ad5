// The passes over whole rows of logits, vectorised. Each has one body, compiled for several instruction sets and
// chosen at run time; the results are the same to the bit for all (fixed lanes, no contraction).
#pragma once

#include <cstdint>

namespace pagoda::loops {

constexpr int64_t kLanes = 64;  // logits in a block; the last block of a row may be shorter

// `level` must be one that this processor runs, which all up to the best are.
enum class Level { baseline, avx2, avx512 };
Level best_level();

inline int64_t blocks_of(int64_t n) { return (n + kLanes - 1) / kLanes; }

// The highest of x, NaN counting as -inf; -inf for none. *bad tells whether any value is NaN or +inf.
float row_maximum(const float* x, int64_t n, bool* bad, Level level = best_level());

// The first index of `value` in x, or n.
int64_t index_of(const float* x, int64_t n, float value, Level level = best_level());

// block_max[b] = highest of x's block b. No NaN in x.
void block_maxima(const float* x, int64_t n, float* block_max, Level level = best_level());

// w[i] = exp((x[i] - top) * inverse_temperature) in float32 for x[i] <= top, 0 where the exponent v is under -87;
// relative error below 2e-7 (1 + |v|), since v is rounded too. sums[b] = sum of w's block b in float64. Returns the
// sum of `sums`.
double exp_weights(const float* x, int64_t n, float top, float inverse_temperature, float* w, double* sums,
                   Level level = best_level());

// bucket[i] = min(last_bucket, floor(scale * (top - x[i]))), for x[i] <= top; never rises with x[i].
void assign_buckets(const float* x, int64_t n, float top, float scale, int32_t last_bucket, uint16_t* bucket,
                    Level level = best_level());

// The sum of exp(x[i] - top) in float64; each term's relative error is below 1e-15, or it is 0 for under exp(-690).
double exp_sum(const float* x, int64_t n, float top, Level level = best_level());

// index = the i with x[i] >= value, rising; room for n. Returns how many.
int64_t find_reaching(const float* x, int64_t n, float value, int32_t* index, Level level = best_level());

// How many x[i] are above `value`, and how many before index `before` equal it.
int64_t count_ahead(const float* x, int64_t n, float value, int64_t before, Level level = best_level());

// Puts out what is past a point of the order: w[i] = 0 where x[i] < value, or x[i] == value and i > last.
// sums[b] = sum of w's block b after that. Returns the sum of `sums`.
double keep_ahead(const float* x, int64_t n, float value, int64_t last, float* w, double* sums,
                  Level level = best_level());

}  // namespace pagoda::loops
