// The compiled module pagoda._kernels.
#include <nanobind/nanobind.h>

void bind_executor(nanobind::module_& m);
#if defined(PAGODA_WITH_SAMPLE)
void bind_sample(nanobind::module_& m);
#endif
#if defined(PAGODA_WITH_LIMITS)
void bind_limits(nanobind::module_& m);
#endif

NB_MODULE(_kernels, m) {
  m.doc() = "Pagoda's native kernels: the CPU executor and the sampler.";
  bind_executor(m);
#if defined(PAGODA_WITH_SAMPLE)
  bind_sample(m);
#endif
#if defined(PAGODA_WITH_LIMITS)
  bind_limits(m);
#endif
}
