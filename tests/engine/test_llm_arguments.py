"""Arguments of vLLM's `LLM` and its methods beside the prompts: what they do here, and what is refused."""

from __future__ import annotations

import json
import re
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.models import tiny_folder, tiny_gguf, write_safetensors_file
from tqdm import tqdm

import pagoda
from pagoda import (
    LLM,
    BeamSearchParams,
    GuidedDecodingParams,
    LoRARequest,
    RequestOutput,
    SamplingParams,
    StructuredOutputsParams,
    TextPrompt,
    TokensPrompt,
)
from pagoda.cli.flags.memory import MEMORY
from pagoda.cli.flags.model import MODEL
from pagoda.cli.flags.parallel import PARALLEL
from pagoda.engine.errors import EngineStartError
from pagoda.engine.grammar_text import GrammarError
from pagoda.engine.llm_metrics import Counter
from pagoda.engine.options import LLMOptions, read_options
from pagoda.engine.params import ParameterError
from pagoda.engine.sizes import ConfigurationError
from pagoda.engine.validation import PromptError
from pagoda.weights.checkpoint import CheckpointError

PROMPT = "the cat and the dog"
GREEDY = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("llm") / "tiny.gguf")


@pytest.fixture(scope="module")
def llm(model: Path) -> LLM:
    return LLM(model, executor="reference")


def ids(outputs: list[RequestOutput]) -> list[list[int]]:
    return [output.outputs[0].token_ids for output in outputs]


def run(llm: LLM, *arguments: Any, **options: Any) -> list[list[int]]:
    return ids(llm.generate(*arguments, use_tqdm=False, **options))


def test_the_page_about_compatibility_tells_what_there_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text("utf-8")
    section = page.split("## From Python")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([a-z ]+) \|", section, re.MULTILINE))
    assert rows.pop("LLM") == "here"
    methods = {name for name in dir(LLM) if not name.startswith("_")} - {"info"}
    assert {name for name, here in rows.items() if here == "works"} == methods
    assert all(here in ("works", "not supported") for here in rows.values())


def test_every_name_of_the_package_can_be_imported() -> None:
    for name in pagoda.__all__:
        assert getattr(pagoda, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'LLMM'"):
        pagoda.LLMM  # noqa: B018


def test_prompts_may_be_put_in_line_and_run_later(llm: LLM) -> None:
    expected = run(llm, [PROMPT, "you and I"], GREEDY)
    first = llm.enqueue([PROMPT], GREEDY)
    second = llm.enqueue("you and I", GREEDY)
    outputs = llm.wait_for_completion(use_tqdm=False)
    assert [output.request_id for output in outputs] == first + second
    assert ids(outputs) == expected
    assert llm.wait_for_completion(use_tqdm=False) == []


class TestGenerate:
    def test_spellings_of_prompts(self, llm: LLM) -> None:
        tokens = llm.get_tokenizer().encode(PROMPT)
        expected = run(llm, PROMPT, GREEDY)
        assert run(llm, TextPrompt(prompt=PROMPT), GREEDY) == expected
        assert run(llm, [TokensPrompt(prompt_token_ids=tokens)], GREEDY) == expected
        assert run(llm, [tokens, PROMPT], GREEDY) == expected * 2
        assert run(llm, prompt_token_ids=[tokens, tokens], sampling_params=GREEDY) == expected * 2
        assert run(llm, prompt_token_ids=tokens, sampling_params=GREEDY) == expected
        with pytest.raises(PromptError, match="no prompts"):
            llm.generate(sampling_params=GREEDY)

    def test_tokenization(self, llm: LLM) -> None:
        tokens = llm.get_tokenizer().encode(PROMPT)
        options = {"truncation": True, "max_length": 2, "add_special_tokens": False}
        [output] = llm.generate(PROMPT, GREEDY, use_tqdm=False, tokenization_kwargs=options)
        assert output.prompt_token_ids == tokens[:2]
        cut = SamplingParams(temperature=0, max_tokens=2, truncate_prompt_tokens=3)
        [output] = llm.generate(PROMPT, cut, use_tqdm=False)
        assert output.prompt_token_ids == tokens[-3:]
        with pytest.raises(PromptError, match="unknown 'paddin'"):
            llm.generate(PROMPT, GREEDY, tokenization_kwargs={"paddin": True})

    def test_defaults_can_be_changed(self, llm: LLM) -> None:
        params = llm.get_default_sampling_params()
        params.temperature = 0
        params.max_tokens = 3
        params.stop = ["not to be found"]  # type: ignore[assignment]
        changed = params.clone()
        changed.max_tokens = 5
        assert [len(each) for each in run(llm, [PROMPT, PROMPT], [params, changed])] == [3, 5]

    def test_a_change_out_of_range_is_told_before_anything_runs(self, llm: LLM) -> None:
        wrong = GREEDY.clone()
        wrong.temperature = -1
        with pytest.raises(ParameterError, match="temperature"):
            llm.generate([PROMPT, PROMPT], [GREEDY, wrong])
        with pytest.raises(TypeError, match="must be SamplingParams, got dict"):
            llm.generate(PROMPT, {"temperature": 0})  # type: ignore[arg-type]

    def test_end_tokens_of_other_models_never_come(self, llm: LLM) -> None:
        params = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True, stop_token_ids=[151645, -1])
        assert run(llm, PROMPT, params) == run(llm, PROMPT, GREEDY)

    def test_a_progress_bar_of_ones_own(self, llm: LLM) -> None:
        bars: list[Any] = []

        def make(**options: Any) -> Any:
            bars.append(tqdm(**{**options, "disable": True}))
            return bars[-1]

        llm.generate([PROMPT, PROMPT], GREEDY, use_tqdm=make)
        assert [bar.total for bar in bars] == [2]

    @pytest.mark.parametrize(
        "constraint",
        [
            {"structured_outputs": StructuredOutputsParams(choice=["the", "and"])},
            {"guided_decoding": GuidedDecodingParams(choice=["the", "and"], backend="xgrammar")},
            {"structured_outputs": {"regex": "(the|and)"}},
        ],
    )
    def test_constraints_in_every_spelling(self, llm: LLM, constraint: dict[str, Any]) -> None:
        params = SamplingParams(temperature=0, max_tokens=20, **constraint)
        [output] = llm.generate(PROMPT, params, use_tqdm=False)
        assert output.outputs[0].text in ("the", "and")
        assert output.outputs[0].finished()

    def test_a_constraint_that_cannot_be_compiled(self, llm: LLM) -> None:
        with pytest.raises(GrammarError):
            llm.generate(PROMPT, SamplingParams(structured_outputs=StructuredOutputsParams(regex="(")))

    def test_log_probabilities_have_a_limit(self, model: Path, llm: LLM) -> None:
        with pytest.raises(PromptError, match="greater than max allowed: 20"):
            llm.generate(PROMPT, SamplingParams(logprobs=21))
        more = LLM(model, executor="reference", max_logprobs=-1)
        [output] = more.generate(PROMPT, SamplingParams(max_tokens=1, logprobs=-1), use_tqdm=False)
        assert output.outputs[0].logprobs is not None
        assert len(output.outputs[0].logprobs[0]) == 320

    def test_salts_keep_caches_apart(self, llm: LLM) -> None:
        tokens = [*range(100)]
        counts = [
            llm.generate({"prompt_token_ids": tokens, "cache_salt": salt}, GREEDY, use_tqdm=False)[0]
            for salt in ("a", "a", "b")
        ]
        assert [output.num_cached_tokens for output in counts] == [0, 96, 0]


def test_chat_takes_a_template_file_and_tools(llm: LLM, tmp_path: Path) -> None:
    file = tmp_path / "template.jinja"
    file.write_text("{{ tools[0].function.name }}:{{ mood }}:{{ messages[0].content }}")
    tools = [{"type": "function", "function": {"name": "look"}}]
    [output] = llm.chat(
        [{"role": "user", "content": "hi"}],
        GREEDY,
        use_tqdm=False,
        chat_template=str(file),
        chat_template_content_format="string",
        tools=tools,
        chat_template_kwargs={"mood": "gay"},
    )
    assert output.prompt == "look:gay:hi"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        llm.chat([{"role": "user", "content": "hi"}], chat_template=str(tmp_path / "none.jinja"))


class TestTokenizer:
    """What scripts do with the tokenizer of an LLM."""

    def test_a_prompt_from_its_template(self, llm: LLM) -> None:
        tokenizer = llm.get_tokenizer()
        question = [{"role": "user", "content": "hi"}]
        text = tokenizer.apply_chat_template(question, tokenize=False, add_generation_prompt=True)
        assert text == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
        assert (
            tokenizer.apply_chat_template([question, question], tokenize=False)
            == ["<|im_start|>user\nhi<|im_end|>\n"] * 2
        )
        ids = tokenizer.apply_chat_template(question, add_generation_prompt=True)
        assert tokenizer.decode(ids) == text
        assert tokenizer.decode(ids, skip_special_tokens=True) == "user\nhi\nassistant\n"
        own = tokenizer.apply_chat_template(question, tokenize=False, chat_template="{{ a }}{b}", a=1)
        assert own == "1{b}"

    def test_texts_and_ids(self, llm: LLM) -> None:
        tokenizer = llm.get_tokenizer()
        ids = tokenizer.encode(PROMPT, add_special_tokens=False)
        assert tokenizer(PROMPT, add_special_tokens=False).input_ids == ids
        both = tokenizer([PROMPT, "a"], truncation=True, max_length=2)
        assert both["input_ids"][0] == tokenizer.encode(PROMPT)[:2]
        assert [len(mask) for mask in both.attention_mask] == [len(each) for each in both.input_ids]
        assert tokenizer.batch_decode([ids, ids[:1]]) == [PROMPT, tokenizer.decode(ids[0])]
        assert tokenizer.convert_tokens_to_ids(tokenizer.convert_ids_to_tokens(ids)) == ids
        assert tokenizer.convert_ids_to_tokens(tokenizer.eos_token_id or 0) == tokenizer.eos_token
        assert tokenizer.eos_token_id in tokenizer.all_special_ids
        assert len(tokenizer) == tokenizer.vocab_size == 320
        assert tokenizer.chat_template is not None


def test_beam_search_of_several_prompts(llm: LLM) -> None:
    params = BeamSearchParams(beam_width=3, max_tokens=4, ignore_eos=True)
    prompts = [{"prompt": PROMPT}, {"prompt_token_ids": [5, 6, 7]}]
    together = llm.beam_search(prompts, params, use_tqdm=False)
    assert together == [llm.beam_search(prompt, params)[0] for prompt in prompts]
    assert together == llm.beam_search(prompts, params, concurrency_limit=1)
    for found, start in zip(together, (llm.get_tokenizer().encode(PROMPT), [5, 6, 7]), strict=True):
        assert len(found.sequences) == 3
        sums = [sequence.cum_logprob for sequence in found.sequences]
        assert sums == sorted(sums, reverse=True)
        for sequence in found.sequences:
            assert sequence.tokens[: len(start)] == start
            assert sequence.text == llm.get_tokenizer().decode(sequence.tokens, skip_special_tokens=False)
            said = [
                entry[token].logprob
                for entry, token in zip(sequence.logprobs, sequence.tokens[len(start) :], strict=True)
            ]
            assert sequence.cum_logprob == pytest.approx(sum(said))
    with pytest.raises(PromptError, match="maximum context length"):
        llm.beam_search(prompts, BeamSearchParams(beam_width=1, max_tokens=600))


def test_one_beam_is_greedy(llm: LLM) -> None:
    [found] = llm.beam_search(PROMPT, BeamSearchParams(beam_width=1, max_tokens=8, ignore_eos=True))
    [greedy] = run(llm, PROMPT, GREEDY)
    assert found.sequences[0].tokens[-8:] == greedy


@pytest.mark.parametrize("separate_process", [False, True])
def test_sleep_gives_memory_back_until_waking(model: Path, separate_process: bool) -> None:
    llm = LLM(model, executor="reference", separate_process=separate_process, enable_sleep_mode=True)
    before = run(llm, PROMPT, GREEDY)
    llm.sleep(level=1)
    with pytest.raises(RuntimeError, match="call wake_up"):
        llm.generate(PROMPT)
    llm.wake_up(tags=["weights"])
    llm.wake_up(tags=["kv_cache"])
    assert run(llm, PROMPT, GREEDY) == before


def test_metrics_have_the_names_of_vllm(model: Path) -> None:
    llm = LLM(model, executor="reference", disable_log_stats=False)
    run(llm, PROMPT, GREEDY)
    counters = {metric.name: metric.value for metric in llm.get_metrics() if isinstance(metric, Counter)}
    assert counters["vllm:generation_tokens"] == 8
    assert counters["vllm:prompt_tokens"] == len(llm.get_tokenizer().encode(PROMPT))


def test_adapters(tmp_path: Path) -> None:
    model = tiny_folder(tmp_path / "model")
    adapters = [
        LoRARequest(name, number, str(write_adapter(tmp_path / name, number)))
        for number, name in enumerate(("one", "two"), 1)
    ]
    llm = LLM(str(model), executor="reference", enable_lora=True, max_loras=1)
    [plain] = run(llm, PROMPT, GREEDY)
    outputs = llm.generate([PROMPT] * 4, GREEDY, lora_request=[adapters[0], None, *adapters], use_tqdm=False)
    assert [output.lora_request for output in outputs] == [adapters[0], None, *adapters]
    first, without, again, second = ids(outputs)
    assert without == plain
    assert first == again
    assert len({tuple(first), tuple(second), tuple(plain)}) == 3
    assert run(llm, PROMPT, GREEDY, lora_request=adapters[0]) == [first], "the other one has left for it"
    with pytest.raises((CheckpointError, ConfigurationError, EngineStartError)):
        llm.generate(PROMPT, GREEDY, lora_request=LoRARequest("none", 3, str(tmp_path / "none")))


def write_adapter(folder: Path, seed: int) -> Path:
    folder.mkdir()
    described = {"peft_type": "LORA", "r": 2, "lora_alpha": 16, "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(described))
    rng = np.random.default_rng(seed)
    tensors = {
        f"base_model.model.model.layers.0.self_attn.q_proj.lora_{part}.weight": (
            "float32",
            rng.standard_normal(shape).astype(np.float32),
        )
        for part, shape in (("A", (2, 64)), ("B", (64, 2)))
    }
    write_safetensors_file(folder / "adapter_model.safetensors", tensors)
    return folder


class TestOptions:
    """What keyword arguments of vLLM come to."""

    @pytest.mark.parametrize(
        ("given", "settings"),
        [
            ({"gpu_memory_utilization": 0.8, "max_num_seqs": 4}, {"memory_share": 0.8, "max_num_seqs": 4}),
            ({"task": "embed"}, {"runner": "pooling"}),
            ({"task": "generate"}, {"runner": "generate"}),
            ({"convert": "embed"}, {"runner": "pooling"}),
            ({"task": "classify", "pooling": "mean"}, {"runner": "pooling", "pooling": "mean"}),
            (
                {"pooler_config": {"pooling_type": "MEAN", "normalize": False}},
                {"pooling": "mean", "normalize": False},
            ),
            (
                {"rope_scaling": {"rope_type": "yarn"}, "hf_overrides": {"x": 1}},
                {"hf_overrides": {"rope_scaling": {"rope_type": "yarn"}, "x": 1}},
            ),
            ({"chat_template": "{{ messages }}"}, {"chat_template": "{{ messages }}"}),
            ({"hf_overrides": None, "runner": "auto"}, {"runner": "auto"}),
        ],
    )
    def test_settings(self, given: dict[str, Any], settings: dict[str, Any]) -> None:
        options = read_options(given)
        assert options.settings == settings
        assert options.ignored == {}

    def test_the_ones_of_vllm_that_ask_for_nothing_are_silent(self) -> None:
        options = read_options(
            {"device": "cpu", "dtype": "auto", "tensor_parallel_size": 1, "trust_remote_code": True}
        )
        assert options == LLMOptions()

    def test_what_the_hub_is_told(self) -> None:
        options = read_options({"hf_token": "secret", "download_dir": "/models", "revision": "v2"})
        assert options.hub == {"HF_TOKEN": "secret", "HF_HUB_CACHE": "/models"}
        assert (options.revision, options.settings) == ("v2", {})
        assert read_options({"hf_token": True}).hub == {}, "the one that is saved"

    def test_the_ones_without_effect_are_told(self) -> None:
        assert read_options({"dtype": "float16", "swap_space": 8}).ignored == {
            "dtype": "float16",
            "swap_space": 8,
        }

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"logits_processors": [print]}, "logit_bias"),
            ({"task": "transcription"}, "task='transcription' is not supported"),
            ({"convert": "mm"}, "convert='mm' is not supported"),
            ({"pooler_config": {"pooling_type": "STEP"}}, "pooling_type is 'STEP'"),
            ({"generation_config": "/somewhere"}, "generation_config must be"),
        ],
    )
    def test_what_cannot_be_done(self, given: dict[str, Any], told: str) -> None:
        with pytest.raises(ConfigurationError, match=told):
            read_options(given)

    def test_whatever_the_server_takes_for_its_engine_a_script_may_give(self) -> None:
        """The flags of `pagoda serve` in the groups of models and engines, as keyword arguments."""
        servers = {"model", "lora_modules", "config", "headless", "enable_log_deltas", "log_error_stack"}
        flags = [flag for group in (MODEL, MEMORY, PARALLEL) for flag in group.flags]
        names = {flag.name.replace("-", "_") for flag in flags} - servers - set(signature(LLM).parameters)
        assert len(names) > 80
        for name in names:
            read_options({name: None})

    def test_a_misspelt_name_is_told_the_right_one(self) -> None:
        with pytest.raises(TypeError, match="'max_num_seq'; did you mean 'max_num_seqs'"):
            read_options({"max_num_seq": 4})

    def test_where_sampling_defaults_come_from(self, tmp_path: Path) -> None:
        model = tiny_folder(tmp_path / "model")
        file = model / "generation_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "temperature": 0.3, "top_k": 7}))

        def defaults(**options: Any) -> tuple[float, int]:
            params = LLM(str(model), executor="reference", **options).get_default_sampling_params()
            return params.temperature, params.top_k

        assert defaults() == (0.3, 7)
        assert defaults(generation_config="vllm") == (1.0, 0)
        assert defaults(override_generation_config={"top_k": 3}) == (0.3, 3)
