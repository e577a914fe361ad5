"""The offline API end to end: a tiny model from a real file, the reference executor, text in and out."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.models import tiny_gguf

import pagoda
from pagoda import LLM, SamplingParams
from pagoda.engine.params import ParameterError
from pagoda.engine.sizes import ConfigurationError
from pagoda.engine.supervisor import EngineDeadError, EngineStartError
from pagoda.engine.validation import PromptError
from pagoda.text.chat_template import TemplateError
from pagoda.weights.checkpoint import CheckpointError

PROMPTS = ["the cat and the dog", "in other words", "you and I", "for the first time in the world"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("llm") / "tiny.gguf")


def make(model: Path, executor: str = "reference", **options: Any) -> LLM:
    return LLM(model, executor=executor, **options)


@pytest.fixture(scope="module", params=[("reference", False), ("cpu", False), ("cpu", True)])
def llm(model: Path, request: pytest.FixtureRequest) -> LLM:
    """Both executors, and the engine in this process and in its own."""
    executor, separate_process = request.param
    return make(model, executor, separate_process=separate_process)


def test_names_of_the_package() -> None:
    assert pagoda.LLM is LLM
    assert pagoda.SamplingParams is SamplingParams


def test_prompts_of_all_kinds_in_order(llm: LLM) -> None:
    params = SamplingParams(temperature=0, max_tokens=8, ignore_eos=True)
    ids = llm.get_tokenizer().encode(PROMPTS[1])
    by_text = llm.generate(PROMPTS, params, use_tqdm=False)
    assert [output.prompt for output in by_text] == PROMPTS
    assert all(output.finished for output in by_text)
    for prompt in (
        PROMPTS[1],
        {"prompt": PROMPTS[1]},
        {"prompt_token_ids": ids},
        ids,
        [{"prompt_token_ids": ids}],
    ):
        (output,) = llm.generate(prompt, params, use_tqdm=False)
        assert output.prompt_token_ids == ids
        assert output.outputs[0].token_ids == by_text[1].outputs[0].token_ids
        assert output.outputs[0].text == by_text[1].outputs[0].text
    (one,) = by_text[1].outputs
    assert (one.index, one.finish_reason, one.stop_reason, len(one.token_ids)) == (0, "length", None, 8)
    assert one.text == llm.get_tokenizer().decode(one.token_ids)
    assert one.logprobs is None
    assert one.cumulative_logprob is None


def test_a_crowd_says_what_each_says_alone(llm: LLM) -> None:
    params = [
        SamplingParams(temperature=1.0, seed=number, max_tokens=10 + number, ignore_eos=True)
        for number in range(len(PROMPTS))
    ]
    together = llm.generate(PROMPTS, params, use_tqdm=False)
    for prompt, each, output in zip(PROMPTS, params, together, strict=True):
        (alone,) = llm.generate(prompt, each, use_tqdm=False)
        assert alone.outputs[0].token_ids == output.outputs[0].token_ids
        assert len(output.outputs[0].token_ids) == each.max_tokens


def test_seeds(model: Path) -> None:
    params = SamplingParams(temperature=1.0, max_tokens=12, ignore_eos=True)

    def texts(**options: Any) -> list[str]:
        return [
            o.outputs[0].text
            for o in make(model, **options).generate([PROMPTS[0]] * 2, params, use_tqdm=False)
        ]

    first = texts()
    assert first[0] != first[1], "two requests without a seed differ"
    assert first == texts(), "the same script says the same"
    assert first != texts(seed=1)


def test_n_answers(llm: LLM) -> None:
    params = SamplingParams(n=3, temperature=1.0, seed=5, max_tokens=9, ignore_eos=True)
    (output,) = llm.generate(PROMPTS[0], params, use_tqdm=False)
    assert [answer.index for answer in output.outputs] == [0, 1, 2]
    assert len({answer.text for answer in output.outputs}) == 3
    for offset, answer in enumerate(output.outputs):
        alone = SamplingParams(temperature=1.0, seed=5 + offset, max_tokens=9, ignore_eos=True)
        (single,) = llm.generate(PROMPTS[0], alone, use_tqdm=False)
        assert single.outputs[0].token_ids == answer.token_ids


def test_stop_strings_end_the_answer_and_free_the_engine(llm: LLM) -> None:
    params = SamplingParams(temperature=0, max_tokens=60, ignore_eos=True)
    (whole,) = llm.generate(PROMPTS[0], params, use_tqdm=False)
    text = whole.outputs[0].text
    pairs = [text[i : i + 2] for i in range(8, len(text) - 1)]
    stop = next(pair for pair in pairs if pair.isascii() and text.index(pair) >= 8)
    cut = SamplingParams(temperature=0, max_tokens=60, ignore_eos=True, stop=(stop,))
    (output,) = llm.generate(PROMPTS[0], cut, use_tqdm=False)
    (answer,) = output.outputs
    assert answer.text == text[: text.index(stop)]
    assert (answer.finish_reason, answer.stop_reason) == ("stop", stop)
    assert len(answer.token_ids) < 60
    assert whole.outputs[0].token_ids[: len(answer.token_ids)] == answer.token_ids
    assert stop in llm.get_tokenizer().decode(answer.token_ids)
    assert stop not in llm.get_tokenizer().decode(answer.token_ids[:-1]), "not one token too many"
    kept = SamplingParams(
        temperature=0, max_tokens=60, ignore_eos=True, stop=(stop,), include_stop_str_in_output=True
    )
    (output,) = llm.generate(PROMPTS[0], kept, use_tqdm=False)
    assert output.outputs[0].text == text[: text.index(stop) + 2]


def test_stop_tokens_are_counted_and_not_shown(llm: LLM) -> None:
    (whole,) = llm.generate(
        PROMPTS[0], SamplingParams(temperature=0, max_tokens=30, ignore_eos=True), use_tqdm=False
    )
    ids = whole.outputs[0].token_ids
    params = SamplingParams(temperature=0, max_tokens=30, ignore_eos=True, stop_token_ids=(ids[9],))
    (output,) = llm.generate(PROMPTS[0], params, use_tqdm=False)
    (answer,) = output.outputs
    end = ids.index(ids[9]) + 1
    assert answer.token_ids == ids[:end]
    assert answer.text == llm.get_tokenizer().decode(ids[: end - 1])
    assert (answer.finish_reason, answer.stop_reason) == ("stop", ids[9])


def test_logprobs(llm: LLM) -> None:
    params = SamplingParams(temperature=0, max_tokens=5, ignore_eos=True, logprobs=3, prompt_logprobs=1)
    (output,) = llm.generate(PROMPTS[0], params, use_tqdm=False)
    (answer,) = output.outputs
    assert answer.logprobs is not None
    assert output.prompt_logprobs is not None
    for token, entry in zip(answer.token_ids, answer.logprobs, strict=True):
        assert len(entry) == 3, "at temperature 0 the token is one of the three most probable"
        assert entry[token].rank == 1
        assert [e.rank for e in entry.values()] == [1, 2, 3]
        assert entry[token].decoded_token == llm.get_tokenizer().token_text(token)
    assert answer.cumulative_logprob == pytest.approx(
        sum(entry[token].logprob for token, entry in zip(answer.token_ids, answer.logprobs, strict=True))
    )
    assert output.prompt_logprobs[0] is None
    for token, found in zip(output.prompt_token_ids[1:], output.prompt_logprobs[1:], strict=True):
        assert found is not None
        assert token in found
        assert 1 in {e.rank for e in found.values()}


def test_prompt_logprobs_are_those_of_generation(llm: LLM) -> None:
    params = SamplingParams(temperature=0, max_tokens=6, ignore_eos=True, logprobs=0)
    (said,) = llm.generate(PROMPTS[0], params, use_tqdm=False)
    ids = said.prompt_token_ids + said.outputs[0].token_ids
    (read,) = llm.generate(
        {"prompt_token_ids": ids},
        SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=0),
        use_tqdm=False,
    )
    assert read.prompt_logprobs is not None
    assert said.outputs[0].logprobs == read.prompt_logprobs[len(said.prompt_token_ids) :]


def test_chat(llm: LLM) -> None:
    question = [{"role": "user", "content": "hi"}]
    params = SamplingParams(temperature=0, max_tokens=4, ignore_eos=True)
    (output,) = llm.chat(question, params, use_tqdm=False)
    assert output.prompt == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    several = llm.chat([question, [{"role": "user", "content": "you"}]], params, use_tqdm=False)
    assert len(several) == 2
    assert several[0].outputs[0].token_ids == output.outputs[0].token_ids
    (own,) = llm.chat(question, params, use_tqdm=False, chat_template="{{ messages[0]['content'] }}!")
    assert own.prompt == "hi!"


def test_default_parameters(llm: LLM) -> None:
    (output,) = llm.generate(PROMPTS[0], use_tqdm=False)
    assert llm.get_default_sampling_params().max_tokens == 16
    assert len(output.outputs[0].token_ids) <= 16


def test_the_cache_serves_a_prompt_again_until_it_is_reset(model: Path) -> None:
    llm = make(model)
    params = SamplingParams(temperature=0, max_tokens=3, ignore_eos=True)
    prompt = {"prompt_token_ids": [*range(100)]}
    counts = [llm.generate(prompt, params, use_tqdm=False)[0].num_cached_tokens for _ in range(2)]
    assert llm.reset_prefix_cache()
    counts.append(llm.generate(prompt, params, use_tqdm=False)[0].num_cached_tokens)
    assert counts == [0, 96, 0]
    without = make(model, enable_prefix_caching=False)
    assert [without.generate(prompt, params, use_tqdm=False)[0].num_cached_tokens for _ in range(2)] == [0, 0]


def test_without_a_tokenizer(model: Path, llm: LLM) -> None:
    plain = make(model, llm.engine_config.executor, skip_tokenizer_init=True)
    params = SamplingParams(temperature=0, max_tokens=6, ignore_eos=True, detokenize=False, logprobs=1)
    (output,) = plain.generate({"prompt_token_ids": [1, 2, 3]}, params, use_tqdm=False)
    (same,) = llm.generate({"prompt_token_ids": [1, 2, 3]}, params, use_tqdm=False)
    assert output.outputs[0].token_ids == same.outputs[0].token_ids
    assert output.outputs[0].text == same.outputs[0].text == ""
    with pytest.raises(PromptError, match="needs prompts as token ids"):
        plain.generate("text", params)
    with pytest.raises(PromptError, match="Stop strings need a tokenizer"):
        plain.generate([1], SamplingParams(stop=("x",)))
    with pytest.raises(ValueError, match="leaves no tokenizer"):
        plain.get_tokenizer()


def test_progress(llm: LLM, capfd: pytest.CaptureFixture[str]) -> None:
    llm.generate(PROMPTS, SamplingParams(max_tokens=2))
    shown = capfd.readouterr().err
    assert "Processed prompts: 100%" in shown
    assert "4/4" in shown
    assert "toks/s, output: " in shown
    llm.generate(PROMPTS, SamplingParams(max_tokens=2), use_tqdm=False)
    assert capfd.readouterr().err == ""


def test_metrics_and_sizes(llm: LLM) -> None:
    (output,) = llm.generate(PROMPTS[0], SamplingParams(max_tokens=4, ignore_eos=True), use_tqdm=False)
    metrics = output.metrics
    assert metrics is not None
    assert metrics.first_token_time is not None
    assert metrics.finished_time is not None
    assert metrics.arrival_time <= metrics.first_token_time <= metrics.finished_time
    assert llm.info.max_model_len == 512
    assert llm.info.num_blocks * 32 >= 4 * 512


class TestMistakes:
    """A user's mistake is one line that says what is wrong."""

    def test_prompts(self, llm: LLM) -> None:
        with pytest.raises(PromptError, match="must not be empty"):
            llm.generate([PROMPTS[0], ""])
        with pytest.raises(
            PromptError, match=r"maximum context length is 512 tokens\. However, you requested 16 output"
        ):
            llm.generate({"prompt_token_ids": [1] * 500}, SamplingParams())
        with pytest.raises(PromptError, match="Token id 320 is out of vocabulary"):
            llm.generate([{"prompt_token_ids": [320]}])
        with pytest.raises(PromptError, match="needs a text"):
            llm.generate({"text": "hi"})
        with pytest.raises(PromptError, match="whole numbers"):
            llm.generate({"prompt_token_ids": ["a"]})
        with pytest.raises(ValueError, match="2 prompts came with 1 sampling_params"):
            llm.generate(PROMPTS[:2], [SamplingParams()])
        assert llm.generate(PROMPTS[0], SamplingParams(max_tokens=1), use_tqdm=False), (
            "and the engine goes on"
        )

    def test_nothing_asked_for(self, llm: LLM) -> None:
        assert llm.generate([], SamplingParams(), use_tqdm=False) == []

    def test_parameters(self) -> None:
        with pytest.raises(ParameterError, match="temperature"):
            SamplingParams(temperature=float("nan"))

    def test_chat(self, llm: LLM) -> None:
        with pytest.raises(ValueError, match="role"):
            llm.chat([{"role": "wizard", "content": "x"}])
        with pytest.raises(TemplateError, match="cannot be used"):
            llm.chat([{"role": "user", "content": "x"}], chat_template="{% broken")

    def test_options(self, model: Path) -> None:
        with pytest.raises(TypeError, match="unexpected keyword argument 'max_modell_len'"):
            make(model, max_modell_len=5)
        with pytest.warns(UserWarning, match="tensor_parallel_size=2"):
            make(model, tensor_parallel_size=2, gpu_memory_utilization=0.9, enforce_eager=True)
        with pytest.raises(ConfigurationError, match="unknown executor"):
            LLM(model, executor="abacus")
        with pytest.raises(ConfigurationError, match="own limit is 512"):
            make(model, max_model_len=1024)

    def test_files(self, tmp_path: Path) -> None:
        broken = tmp_path / "broken.gguf"
        broken.write_bytes(b"GGUF\x03\x00\x00\x00")
        with pytest.raises(CheckpointError, match=r"broken\.gguf") as caught:
            make(broken)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("executor", "value_bytes"), [("reference", 4), ("cpu", 2)])
def test_context_reduced_to_the_memory_given(model: Path, executor: str, value_bytes: int) -> None:
    # 2 layers x (keys and values) x 2 heads x 16 x 32 tokens
    block = 2 * 2 * 2 * 16 * value_bytes * 32
    llm = make(model, executor, kv_cache_memory_bytes=5 * block)
    assert llm.info.max_model_len == 160
    assert "160 tokens instead of the model's 512" in llm.info.notes[0]
    params = SamplingParams(temperature=0, max_tokens=100, ignore_eos=True)
    outputs = llm.generate(PROMPTS, params, use_tqdm=False)  # they preempt each other
    (alone,) = make(model, executor).generate(PROMPTS[3], params, use_tqdm=False)
    assert outputs[3].outputs[0].token_ids == alone.outputs[0].token_ids


class TestSeparateProcess:
    def test_a_mistake_is_one_line(self, model: Path) -> None:
        with pytest.raises(EngineStartError, match="own limit is 512") as caught:
            make(model, separate_process=True, max_model_len=1024)
        assert "\n" not in str(caught.value)

    def test_a_death_is_told_with_its_reason(self, model: Path) -> None:
        llm = make(model, separate_process=True)
        os.kill(llm.info.pid, signal.SIGKILL)
        with pytest.raises(EngineDeadError, match="the engine process was killed"):
            llm.generate(PROMPTS, SamplingParams(max_tokens=4))

    def test_it_ends_with_its_owner(self, model: Path) -> None:
        llm = make(model, separate_process=True)
        engine = Path(f"/proc/{llm.info.pid}")
        assert engine.exists()
        del llm
        gc.collect()
        assert not engine.exists()
