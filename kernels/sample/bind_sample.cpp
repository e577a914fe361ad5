// Python's view of the sampler: a `SampleRow` a request, and one call a step for all rows.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "sample.h"

namespace nb = nanobind;
using namespace nb::literals;

void bind_sample(nb::module_& m);

namespace {

using Logits = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using LogitsRow = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Masks = nb::ndarray<const uint32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Other = std::tuple<int32_t, double, int64_t>;  // (id, log-probability, rank)
// (logprob, rank, top ids, top log-probabilities, others)
using LogprobsTuple = std::tuple<double, int64_t, std::vector<int32_t>, std::vector<double>, std::vector<Other>>;

LogprobsTuple to_tuple(pagoda::RowLogprobs&& found, const std::vector<int32_t>& ids) {
  std::vector<Other> others;
  for (size_t i = 0; i < found.other_ranks.size(); ++i)
    others.emplace_back(ids[i], found.other_logprobs[i], found.other_ranks[i]);
  return {found.logprob, found.rank, std::move(found.top_ids), std::move(found.top_logprobs), std::move(others)};
}

// What the sampler keeps of one request: its settings and, with penalties, its token counts.
class SampleRow {
 public:
  SampleRow(int64_t vocab, double temperature, int64_t top_k, double top_p, double min_p, double repetition_penalty,
            double frequency_penalty, double presence_penalty, int64_t logprobs, uint64_t seed)
      : vocab_(vocab), counts_(vocab) {
    settings_.temperature = temperature;
    settings_.top_k = top_k;
    settings_.top_p = top_p;
    settings_.min_p = min_p;
    settings_.repetition_penalty = static_cast<float>(repetition_penalty);
    settings_.frequency_penalty = static_cast<float>(frequency_penalty);
    settings_.presence_penalty = static_cast<float>(presence_penalty);
    settings_.logprobs = logprobs;
    settings_.seed = seed;
  }

  void set_biases(const std::vector<int32_t>& ids, const std::vector<float>& biases) {
    if (ids.size() != biases.size()) throw std::invalid_argument("set_biases: one bias for each id");
    settings_.bias_ids = checked(ids);
    settings_.biases = biases;
  }
  void set_allowed(const std::vector<int32_t>& ids) {
    settings_.allowed.assign(pagoda::mask_words(vocab_), 0);
    for (int32_t id : checked(ids)) settings_.allowed[id / 32] |= uint32_t{1} << (id % 32);
  }
  void set_banned(const std::vector<int32_t>& ids) { settings_.banned = checked(ids); }
  void set_logprob_ids(const std::vector<int32_t>& ids) { settings_.logprob_ids = checked(ids); }

  void add_prompt(const std::vector<int32_t>& ids) { counts_.add_prompt(ids.data(), ids.size()); }
  void add_output(const std::vector<int32_t>& ids) { counts_.add_output(ids.data(), ids.size()); }
  int64_t num_output() const { return counts_.num_output(); }
  const pagoda::SamplingSettings& settings() const { return settings_; }
  const pagoda::TokenCounts& counts() const { return counts_; }

 private:
  const std::vector<int32_t>& checked(const std::vector<int32_t>& ids) const {
    for (int32_t id : ids)
      if (id < 0 || id >= vocab_) throw std::invalid_argument("token id out of range");
    return ids;
  }

  int64_t vocab_;
  pagoda::SamplingSettings settings_;
  pagoda::TokenCounts counts_;
};

// The sampler of one engine: working memory for one call at a time.
class RowSampler {
 public:
  nb::tuple sample(const Logits& logits, const std::vector<const SampleRow*>& rows,
                   const std::vector<uint64_t>& positions,
                   const std::vector<std::tuple<int64_t, std::vector<int32_t>>>& banned,
                   const std::vector<int64_t>& masked, std::optional<Masks> masks) {
    const size_t n = rows.size();
    if (logits.shape(0) != n || positions.size() != n)
      throw std::invalid_argument("sample: logits, rows and positions must have the same length");
    const int64_t vocab = static_cast<int64_t>(logits.shape(1));
    std::vector<pagoda::RowConstraints> constraints(n);
    const auto of_row = [&](int64_t row) -> pagoda::RowConstraints& {
      if (row < 0 || static_cast<size_t>(row) >= n) throw std::invalid_argument("sample: row out of range");
      return constraints[row];
    };
    for (const auto& [row, ids] : banned) {
      of_row(row).banned = ids.data();
      of_row(row).num_banned = static_cast<int64_t>(ids.size());
    }
    if (!masked.empty()) {
      if (!masks || masks->shape(0) < masked.size() ||
          static_cast<int64_t>(masks->shape(1)) < pagoda::mask_words(vocab))
        throw std::invalid_argument("sample: a mask for each masked row, of a bit for each token");
      for (size_t i = 0; i < masked.size(); ++i) of_row(masked[i]).mask = masks->data() + i * masks->shape(1);
    }
    std::vector<pagoda::SampledRow> found(n);
    {
      nb::gil_scoped_release released;
      for (size_t i = 0; i < n; ++i) {
        const SampleRow& row = *rows[i];
        found[i] = pagoda::sample_row(logits.data() + i * vocab, vocab, row.settings(), positions[i],
                                      row.settings().has_penalties() ? &row.counts() : nullptr, constraints[i],
                                      scratch_);
      }
    }
    std::vector<int32_t> tokens(n);
    std::vector<std::tuple<size_t, LogprobsTuple>> logprobs;
    std::vector<std::tuple<size_t, std::string>> errors;
    for (size_t i = 0; i < n; ++i) {
      tokens[i] = found[i].token;
      if (found[i].error != pagoda::SampleError::none)
        errors.emplace_back(i, pagoda::sample_error_text(found[i].error));
      else if (rows[i]->settings().wants_logprobs())
        logprobs.emplace_back(i, to_tuple(std::move(found[i].logprobs), rows[i]->settings().logprob_ids));
    }
    return nb::make_tuple(tokens, logprobs, errors);
  }

  LogprobsTuple logprobs(const LogitsRow& logits, int32_t token, int64_t count) {
    const int64_t vocab = static_cast<int64_t>(logits.shape(0));
    if (token < 0 || token >= vocab) throw std::invalid_argument("logprobs: token id out of range");
    pagoda::RowLogprobs found;
    bool good = false;
    {
      nb::gil_scoped_release released;
      good = pagoda::row_logprobs(logits.data(), vocab, token, count, scratch_, found);
    }
    if (!good) throw std::invalid_argument(pagoda::sample_error_text(pagoda::SampleError::not_finite));
    return to_tuple(std::move(found), {});
  }

 private:
  pagoda::SampleScratch scratch_;
};

}  // namespace

void bind_sample(nb::module_& m) {
  nb::class_<SampleRow>(m, "SampleRow", "A request's sampling settings and, with penalties, its token counts.")
      .def(nb::init<int64_t, double, int64_t, double, double, double, double, double, int64_t, uint64_t>(),
           nb::kw_only(), "vocab"_a, "temperature"_a, "top_k"_a, "top_p"_a, "min_p"_a, "repetition_penalty"_a,
           "frequency_penalty"_a, "presence_penalty"_a, "logprobs"_a, "seed"_a)
      .def("set_biases", &SampleRow::set_biases, "token_ids"_a, "biases"_a, "Adds to the logits of these tokens.")
      .def("set_allowed", &SampleRow::set_allowed, "token_ids"_a, "Nothing else may be chosen.")
      .def("set_banned", &SampleRow::set_banned, "token_ids"_a, "Never chosen, but where a mask leaves nothing else.")
      .def("set_logprob_ids", &SampleRow::set_logprob_ids, "token_ids"_a, "Reported besides the top tokens.")
      .def("add_prompt", &SampleRow::add_prompt, "token_ids"_a)
      .def("add_output", &SampleRow::add_output, "token_ids"_a)
      .def_prop_ro("num_output", &SampleRow::num_output, "Tokens given to add_output.");

  nb::class_<RowSampler>(m, "RowSampler", "Chooses tokens; keeps working memory. One call at a time.")
      .def(nb::init<>())
      .def("sample", &RowSampler::sample, "logits"_a.noconvert(), "rows"_a, "positions"_a, "banned"_a,
           "masked"_a = std::vector<int64_t>(), "masks"_a.noconvert() = nb::none(),
           "One token for each row of logits (R, vocab): (tokens, [(row, logprobs)], [(row, error)]). banned: "
           "[(row, token ids)]; mask i, masks[i] with one bit a token, lowest first, is of row masked[i]. logprobs "
           "are (logprob, rank, top ids, top log-probabilities, others), a row with an error has token -1.")
      .def("logprobs", &RowSampler::logprobs, "logits"_a.noconvert(), "token"_a, "count"_a,
           "(logprob, rank, top ids, top log-probabilities, []) of a token under logits (vocab,). ValueError when "
           "the logits are not finite.");

  m.def("sample_uniform", &pagoda::uniform, "seed"_a, "position"_a, "The number in [0, 1) behind a draw.");
}
