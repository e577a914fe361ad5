#include "simd_portable.h"

#include "attention.h"
#include "ops.h"
#include "row_ops.h"

namespace pagoda {

OpKernels portable_ops() {
  return {rms_norm, layer_norm, activate, silu_multiply, transform_head, round_values, attention_chunk, merge, finish,
          exponential_values};
}

}  // namespace pagoda
