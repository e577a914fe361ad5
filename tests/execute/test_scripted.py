"""The scripted model says its script whatever the engine does with its cache, and what is asked for bites."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.helpers.scripted import scripted_model

from pagoda.engine.config import EngineConfig
from pagoda.engine.core import EngineCore
from pagoda.engine.messages import AddRequest, TokenDelta
from pagoda.engine.params import SamplingParams
from pagoda.engine.scripted import load_scripted
from pagoda.engine.sizes import ConfigurationError
from pagoda.execute.scripted import Reply, read_script
from pagoda.text.load import load_tokenizer
from pagoda.text.tokenizer import Tokenizer

TOOL_CALL = (
    '<think>\nHm, 你好 😀.\n</think>\n\n<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
)
LONG = (
    "Whatever has a beginning has an end, and the winter of the harbour is no exception; so they wait. " * 3
)
REPLIES = [("weather", TOOL_CALL), ("story", LONG), ("tool_response", "It is warm.")]
CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


class Engine:
    """An engine core with a scripted model, run to the end of what it is given."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.tokenizer: Tokenizer = load_tokenizer(folder)
        settings = EngineConfig(model_path=str(folder), executor="scripted", **config)
        self.core = EngineCore(settings, model=load_scripted(settings))
        self._number = 0

    def command(self, prompt: str, generated: Sequence[int] = (), **params: Any) -> AddRequest:
        self._number += 1
        params.setdefault("temperature", 0.0)
        params.setdefault("max_tokens", 1000)
        return AddRequest(
            request_id=f"r{self._number}",
            prompt_token_ids=self.tokenizer.encode(prompt, False),
            params=SamplingParams(**params),
            eos_token_ids=self.tokenizer.eos_token_ids,
            generated=list(generated),
        )

    def run(self, *commands: AddRequest) -> list[list[TokenDelta]]:
        news: dict[str, list[TokenDelta]] = {command.request_id: [] for command in commands}
        for command in commands:
            self.core.add_request(command)
        while self.core.has_work():
            for delta in self.core.step().deltas:
                news[delta.request_id].append(delta)
        return list(news.values())

    def say(self, prompt: str, generated: Sequence[int] = (), **params: Any) -> str:
        [deltas] = self.run(self.command(prompt, generated, **params))
        return self.text(deltas)

    def text(self, deltas: Sequence[TokenDelta]) -> str:
        token_ids = [token for delta in deltas for token in delta.token_ids]
        return self.tokenizer.decode(token_ids)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripted_model(tmp_path_factory.mktemp("scripted") / "model", REPLIES, "Hello.")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return Engine(folder)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("Hi.", "Hello."),
        ("How is the weather?", TOOL_CALL),
        ("How is the weather? Tell me a story.", LONG),
        ("Tell me a story. How is the weather?", TOOL_CALL),
        ("The weather: <tool_response>28 degrees</tool_response>", "It is warm."),
    ],
)
def test_the_newest_hint_of_a_prompt_decides(engine: Engine, prompt: str, said: str) -> None:
    assert engine.say(prompt) == said
    assert engine.say(CHAT.format(prompt)) == said


def test_an_answer_ends_with_the_end_token(engine: Engine) -> None:
    [deltas] = engine.run(engine.command("Hi."))
    assert deltas[-1].finish_reason == "stop"
    assert deltas[-1].token_ids == [engine.tokenizer.eos_token_ids[0]]


def test_temperature_and_penalties_leave_the_script_alone(engine: Engine) -> None:
    for params in (
        {"temperature": 1.5, "seed": 3},
        {"repetition_penalty": 1.3},
        {"frequency_penalty": 0.5, "presence_penalty": 2.0},
    ):
        assert engine.say("weather", **params) == TOOL_CALL


def test_without_an_end_it_begins_again(engine: Engine) -> None:
    assert engine.say("Hi.", ignore_eos=True, max_tokens=40).startswith("Hello.Hello.Hello.")
    assert engine.say("Hi.", min_tokens=20).startswith("Hello.Hello.")


@given(
    prompts=st.lists(
        st.sampled_from(["Hi.", "weather", "a story", "x" * 70, "story " * 30]), min_size=1, max_size=9
    ),
    num_blocks=st.integers(16, 40),
    step_tokens=st.integers(9, 80),
    caching=st.booleans(),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_crowd_in_a_small_cache_says_the_same(
    folder: Path, engine: Engine, prompts: list[str], num_blocks: int, step_tokens: int, caching: bool
) -> None:
    crowded = Engine(
        folder,
        max_model_len=32 * 15,
        kv_cache_memory_bytes=num_blocks * 64 * 32,
        max_num_seqs=6,
        max_num_batched_tokens=step_tokens,
        enable_prefix_caching=caching,
    )
    found = crowded.run(*(crowded.command(CHAT.format(prompt)) for prompt in prompts))
    assert [crowded.text(deltas) for deltas in found] == [
        engine.say(CHAT.format(prompt)) for prompt in prompts
    ]
    assert {deltas[-1].finish_reason for deltas in found} == {"stop"}


@pytest.mark.parametrize("count", [1, 3, 7, 40])
def test_a_new_process_goes_on_where_the_last_one_died(folder: Path, engine: Engine, count: int) -> None:
    prompt = CHAT.format("weather")
    [deltas] = engine.run(engine.command(prompt))
    said = [token for delta in deltas for token in delta.token_ids]
    after = Engine(folder)
    [rest] = after.run(after.command(prompt, said[:count]))
    assert [token for delta in rest for token in delta.token_ids] == said[count:]


def test_a_text_goes_on_in_a_new_process_too(folder: Path, engine: Engine) -> None:
    said = engine.tokenizer.encode(LONG, False)
    assert Engine(folder).say("a story", said[:9]) == engine.tokenizer.decode(said[9:])


def test_an_answer_begun_in_the_prompt_is_ended(engine: Engine) -> None:
    assert engine.say(CHAT.format("weather") + TOOL_CALL[:20]) == TOOL_CALL[20:]


def test_what_is_banned_is_not_said_and_the_rest_is(engine: Engine) -> None:
    [first, *_] = engine.tokenizer.encode(LONG, False)
    said = engine.say("a story", logit_bias={first: -100.0})
    banned = engine.tokenizer.decode([first])
    assert banned not in said
    assert len(said) > 200
    assert said.endswith(LONG[-20:])


def test_what_is_forced_is_said(engine: Engine) -> None:
    [token] = engine.tokenizer.encode("!", False)
    assert engine.say("Hi.", logit_bias={token: 100.0}, max_tokens=5) == "!!!!!"
    assert engine.say("Hi.", allowed_token_ids=[token], max_tokens=3) == "!!!"


def test_other_tokens_for_the_same_text_go_on_behind_it(engine: Engine) -> None:
    spelt = [engine.tokenizer.encode(letter, False)[0] for letter in LONG[:12]]
    assert spelt != engine.tokenizer.encode(LONG[:12], False)
    assert engine.say(CHAT.format("a story"), spelt) == LONG[12:]


def test_logprobs_of_a_prompt_change_nothing(engine: Engine) -> None:
    command = engine.command(CHAT.format("weather"), prompt_logprobs=1, logprobs=1)
    [deltas] = engine.run(command)
    assert engine.text(deltas) == TOOL_CALL
    assert deltas[0].prompt_logprobs is not None
    assert len(deltas[0].prompt_logprobs) == len(command.prompt_token_ids)


def test_a_repeating_reply_has_no_end(tmp_path: Path) -> None:
    engine = Engine(scripted_model(tmp_path / "model", default=Reply("ab ", repeat=True)))
    assert engine.say("x", max_tokens=100) == engine.tokenizer.decode(
        (engine.tokenizer.encode("ab ", False) * 100)[:100]
    )


def test_faults_come_where_they_are_asked_for(tmp_path: Path) -> None:
    replies = [
        Reply("one two three", when="raise", fault="raise", after=2),
        Reply("one two three", when="once", fault="raise", after=2, once=True),
    ]
    engine = Engine(scripted_model(tmp_path / "model", replies))
    for _ in range(2):
        [deltas, others] = engine.run(engine.command("raise"), engine.command("Hi."))
        assert len(deltas) == 3
        assert deltas[-1].finish_reason == "error"
        assert "after 2 tokens" in (deltas[-1].error or "")
        assert engine.text(others) == "Hello! How can I help you?"
    [deltas] = engine.run(engine.command("once"))
    assert deltas[-1].finish_reason == "error"
    assert engine.say("once") == "one two three"


@pytest.mark.parametrize("tokenizer", ["qwen2.5", "qwen3", "qwq"])
def test_real_vocabularies(tmp_path: Path, tokenizer: Any) -> None:
    engine = Engine(scripted_model(tmp_path / "model", REPLIES, tokenizer=tokenizer), max_model_len=512)
    assert engine.core.info.vocab_size == 151_936
    assert engine.say(CHAT.format("weather"), temperature=1.0, seed=1) == TOOL_CALL


def test_a_folder_that_is_no_script_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = scripted_model(tmp_path / "model")
    (folder / "script.json").write_text('{"replies": [{"txt": "x"}]}')
    with pytest.raises(ConfigurationError, match=r"script\.json is not a script: .*txt"):
        load_scripted(EngineConfig(model_path=str(folder), executor="scripted"))
    (folder / "script.json").unlink()
    with pytest.raises(ConfigurationError, match="cannot read"):
        load_scripted(EngineConfig(model_path=str(folder), executor="scripted"))
    with pytest.raises(ValueError, match="cannot read"):
        read_script(folder / "script.json")
