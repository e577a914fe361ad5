// Python's view of the executor. src/pagoda/_kernels.pyi documents it; src/pagoda/execute/cpu.py uses it.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "array.h"
#include "cpu_set.h"
#include "executor.h"

namespace nb = nanobind;
using namespace nb::literals;

void bind_executor(nb::module_& m);

namespace {

using pagoda::ArrayView;
using pagoda::Executor;
using pagoda::Isa;
using pagoda::WeightFormat;

Isa isa_named(const std::string& name) {
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (name == pagoda::isa_name(isa)) return isa;
  }
  throw std::invalid_argument("unknown instruction set '" + name + "'; known: portable, avx2, avx512");
}

std::unique_ptr<Executor> make_executor(const std::string& isa, int threads, int64_t vocab_size, int64_t max_tokens,
                                        int64_t max_context, int64_t num_blocks, int64_t layers, int64_t heads,
                                        int64_t kv_heads, int64_t head_dim, bool causal) {
  pagoda::ExecutorSettings settings{};
  settings.isa = isa_named(isa);
  settings.threads = threads;
  settings.vocab_size = vocab_size;
  settings.max_tokens = max_tokens;
  settings.max_context = max_context;
  settings.num_blocks = num_blocks;
  settings.attention = {layers, heads, kv_heads, head_dim, causal};
  return std::make_unique<Executor>(settings);
}

// Sizes come from `data`: (n, k) for float formats, (n, groups, bytes of a group) for quantised ones.
int add_weight(Executor& self, int format, nb::handle data, nb::handle scales, nb::handle offsets) {
  if (format < 0 || format > static_cast<int>(WeightFormat::int4_offset)) {
    throw std::invalid_argument("unknown weight format " + std::to_string(format));
  }
  pagoda::WeightSource source{};
  source.format = static_cast<WeightFormat>(format);
  const bool quantised = source.format >= WeightFormat::int8;
  const int64_t item = quantised ? 1 : source.format == WeightFormat::f32 ? 4 : 2;
  const ArrayView values(data, "data", item, quantised ? 3 : 2);
  source.n = values.size(0);
  source.data = values.data<void>();
  source.row_stride = values.stride(0);
  if (!quantised) {
    source.k = values.size(1);
    if (source.k > 1 && values.stride(1) != item) throw std::invalid_argument("the rows of a weight must be contiguous");
    nb::gil_scoped_release release;
    return self.add_weight(source);
  }
  const int64_t groups = values.size(1), bytes = source.format == WeightFormat::int8 ? 32 : 16;
  if (values.size(2) != bytes || values.stride(2) != 1) {
    throw std::invalid_argument("a group of weights must be " + std::to_string(bytes) + " contiguous bytes");
  }
  source.k = groups * pagoda::kGroup;
  source.group_stride = values.stride(1);
  const ArrayView scale(scales, "scales", int64_t{2}, 2);
  const bool with_offsets = source.format == WeightFormat::int4_offset;
  std::optional<ArrayView> offset;
  if (with_offsets) offset.emplace(offsets, "offsets", int64_t{2}, 2);
  source.scales = scale.data<void>();
  source.scale_row_stride = scale.stride(0);
  source.scale_group_stride = scale.stride(1);
  if (offset) source.offsets = offset->data<void>();
  for (const ArrayView* part : {&scale, offset ? &*offset : &scale}) {
    if (part->size(0) != source.n || part->size(1) != groups) {
      throw std::invalid_argument("scales and offsets need one value for each group of weights");
    }
    if (part->stride(0) != source.scale_row_stride || part->stride(1) != source.scale_group_stride) {
      throw std::invalid_argument("scales and offsets must have the same strides");
    }
  }
  nb::gil_scoped_release release;
  return self.add_weight(source);
}

int add_vector(Executor& self, nb::handle values) {
  const ArrayView view(values, "values", 'f', 1);
  return self.add_vector(view.data<float>(), view.size(0));
}

pagoda::Activation activation_named(const std::string& name) {
  const char* names[] = {"", "gelu", "gelu_tanh", "relu", "tanh"};
  for (int kind = 0; kind < 5; ++kind) {
    if (name == names[kind]) return static_cast<pagoda::Activation>(kind);
  }
  throw std::invalid_argument("unknown activation '" + name + "'; known: gelu, gelu_tanh, relu, tanh");
}

// parts: (weight, bias or -1, out or -2 for the logits, whether to add) each. activation: of the last one.
void add_product(Executor& self, int input, int norm, float norm_eps, bool selected, bool gated,
                 const std::vector<std::tuple<int, int, int, bool>>& parts, const std::string& activation) {
  Executor::ProductSpec spec{input, norm, norm_eps, selected, gated, {}};
  for (const auto& [weight, bias, out, add] : parts) {
    spec.parts.push_back({weight, bias, out, add, pagoda::Activation::none});
  }
  if (!spec.parts.empty()) spec.parts.back().activation = activation_named(activation);
  self.add_product(spec);
}

void add_attention(Executor& self, int64_t layer, int q, int k, int v, int out, int query_norm, float query_norm_eps,
                   int key_norm, float key_norm_eps, float scale, bool rotary) {
  self.add_attention({layer, q, k, v, out, query_norm, key_norm, query_norm_eps, key_norm_eps, scale, rotary});
}

using Logits = nb::ndarray<nb::numpy, const float, nb::ndim<2>, nb::c_contig>;

Logits step(nb::handle_t<Executor> self, nb::handle token_ids, nb::handle query_lens, nb::handle context_lens,
            nb::handle block_tables, nb::handle logits_rows, nb::handle segments) {
  Executor& executor = nb::cast<Executor&>(self);
  const ArrayView tokens(token_ids, "token_ids", 'i', 1), queries(query_lens, "query_lens", 'i', 1);
  const ArrayView contexts(context_lens, "context_lens", 'i', 1), tables(block_tables, "block_tables", 'i', 2);
  const ArrayView wanted(logits_rows, "logits_rows", 'i', 1);
  pagoda::StepInput input{};
  input.token_ids = tokens.data<int32_t>();
  input.tokens = tokens.size(0);
  input.query_lens = queries.data<int32_t>();
  input.context_lens = contexts.data<int32_t>();
  input.sequences = queries.size(0);
  input.block_tables = tables.data<int32_t>();
  input.table_width = tables.size(1);
  input.logits_rows = wanted.data<int32_t>();
  input.logits_count = wanted.size(0);
  std::optional<ArrayView> kinds;
  if (!segments.is_none()) {
    kinds.emplace(segments, "segments", 'i', 1);
    if (kinds->size(0) != input.tokens) throw std::invalid_argument("segments must have one entry a token");
    input.segments = kinds->data<int32_t>();
  }
  if (contexts.size(0) != input.sequences || tables.size(0) != input.sequences) {
    throw std::invalid_argument("query_lens, context_lens and block_tables must have one entry a sequence");
  }
  const float* logits = nullptr;
  {
    nb::gil_scoped_release release;
    logits = executor.step(input);
  }
  const size_t shape[] = {static_cast<size_t>(input.logits_count), static_cast<size_t>(executor.result_width())};
  return Logits(logits, 2, shape, self);
}

std::vector<std::tuple<std::string, double, double, int64_t>> profile(const Executor& self) {
  std::vector<std::tuple<std::string, double, double, int64_t>> rows;
  for (const Executor::Timing& t : self.timings()) rows.emplace_back(t.name, t.seconds, t.waiting, t.calls);
  return rows;
}

}  // namespace

void bind_executor(nb::module_& m) {
  m.def("available_threads", &pagoda::available_threads);
  m.def("best_isa", [] { return std::string(pagoda::isa_name(pagoda::best_isa())); });
  nb::class_<Executor>(m, "Executor")
      .def(nb::new_(&make_executor), "isa"_a, "threads"_a, "vocab_size"_a, "max_tokens"_a, "max_context"_a,
           "num_blocks"_a, "layers"_a, "heads"_a, "kv_heads"_a, "head_dim"_a, "causal"_a = true)
      .def("add_weight", &add_weight, "weight_format"_a, "data"_a, "scales"_a = nb::none(), "offsets"_a = nb::none())
      .def("add_vector", &add_vector, "values"_a)
      .def("add_buffer", &Executor::add_buffer, "width"_a)
      .def("set_rotary", &Executor::set_rotary, "cosine"_a, "sine"_a)
      .def("add_embedding", &Executor::add_embedding, "weight"_a, "out"_a, "positions"_a = Executor::kNone,
           "segments"_a = Executor::kNone)
      .def("add_layer_norm", &Executor::add_layer_norm, "x"_a, "out"_a, "weight"_a, "bias"_a, "eps"_a)
      .def("add_output", &Executor::add_output, "x"_a, "norm"_a, "norm_eps"_a)
      .def("add_selection", &Executor::add_selection, "buffers"_a)
      .def("add_product", &add_product, "x"_a, "norm"_a, "norm_eps"_a, "selected"_a, "gated"_a, "parts"_a,
           "activation"_a = "")
      .def("add_attention", &add_attention, "layer"_a, "q"_a, "k"_a, "v"_a, "out"_a, "query_norm"_a,
           "query_norm_eps"_a, "key_norm"_a, "key_norm_eps"_a, "scale"_a, "rotary"_a = true)
      .def("finish", &Executor::finish)
      .def("step", &step, "token_ids"_a, "query_lens"_a, "context_lens"_a, "block_tables"_a, "logits_rows"_a,
           "segments"_a = nb::none())
      .def("set_profiling", &Executor::set_profiling, "on"_a)
      .def("profile", &profile)
      .def_prop_ro("weight_bytes", &Executor::weight_bytes)
      .def_prop_ro("cache_bytes", &Executor::cache_bytes);
}
