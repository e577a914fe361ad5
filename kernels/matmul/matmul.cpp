#include "matmul.h"

#include <stdexcept>
#include <string>

#include "matmul_kernels.h"
#include "layout.h"

namespace pagoda {

MatmulKernels matmul_kernels_for(Isa isa) {
  if (isa > best_isa()) {
    throw std::invalid_argument(std::string("this machine cannot run ") + isa_name(isa) + " kernels");
  }
  switch (isa) {
#if defined(PAGODA_X86_64)
    case Isa::avx2: return matmul_kernels_avx2();
    case Isa::avx512: return matmul_kernels_avx512();
#endif
    default: return matmul_kernels_portable();
  }
}

ActivationFormat activation_format(Isa isa, WeightFormat format) {
  if (is_quantised(format)) return ActivationFormat::int8;
  if (format == WeightFormat::bf16 && isa == Isa::avx512) return ActivationFormat::bf16;
  return ActivationFormat::f32;
}

void matmul(const Activations& a, int64_t row0, int64_t row1, const PackedWeight& w, int64_t block0,
            int64_t block1, const float* bias, Store store, float* out, int64_t out_stride) {
  if (a.format != activation_format(w.isa(), w.format()) || a.k != w.k()) {
    throw std::invalid_argument("activations do not fit the weight");
  }
  if (row0 < 0 || row1 > a.rows || block0 < 0 || block1 > w.blocks()) {
    throw std::out_of_range("rows or blocks outside the product");
  }
  if (row0 >= row1 || block0 >= block1) return;
  Product product{};
  product.a = a;
  product.row0 = row0;
  product.row1 = row1;
  product.format = w.format();
  product.n = w.n();
  product.k = w.k();
  product.weight = w.block(0);
  product.block_bytes = w.block_bytes();
  product.block0 = block0;
  product.block1 = block1;
  product.bias = bias;
  product.store = store;
  product.out = out;
  product.out_stride = out_stride;
  matmul_kernels_for(w.isa()).matmul(product);
}

}  // namespace pagoda
