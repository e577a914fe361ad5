#include <stdexcept>
#include <string>

#include "ops.h"

namespace pagoda {

OpKernels ops_for(Isa isa) {
  if (isa > best_isa()) {
    throw std::invalid_argument(std::string("this machine cannot run ") + isa_name(isa) + " kernels");
  }
  switch (isa) {
#if defined(PAGODA_X86_64)
    case Isa::avx2: return avx2_ops();
    case Isa::avx512: return avx512_ops();
#endif
    default: return portable_ops();
  }
}

}  // namespace pagoda
