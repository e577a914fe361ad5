from __future__ import annotations

import itertools
import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.models import tiny_gguf
from tests.text.vocabularies import byte_level_metadata

from pagoda import LLM
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.beam_generation import BeamGeneration
from pagoda.engine.beam_search import (
    BeamEnds,
    BeamSearch,
    BeamSearchParams,
    beam_ends,
    beam_search_params,
    completion,
)
from pagoda.engine.config import EngineConfig
from pagoda.engine.outputs import Logprob
from pagoda.engine.params import ParameterError, SamplingParams
from pagoda.engine.validation import PromptError
from pagoda.text.gguf_tokenizer import tokenizer_from_gguf
from pagoda.text.tokenizer import Tokenizer

EOS = 0
END = frozenset({EOS})
PROMPT = [7, 7, 7]


class Language:
    """Random log-probabilities of the next token after every context, drawn anew from each seed."""

    def __init__(self, seed: int, size: int) -> None:
        self.seed = seed
        self.size = size

    def after(self, tokens: list[int]) -> dict[int, float]:
        draw = random.Random(f"{self.seed}:{tokens}")
        weights = [draw.expovariate(1) + 1e-6 for _ in range(self.size)]
        return {token: math.log(weight / sum(weights)) for token, weight in enumerate(weights)}

    def entries(self, tokens: list[int], width: int) -> dict[int, Logprob]:
        ranked = sorted(self.after(tokens).items(), key=lambda item: -item[1])[: 2 * width]
        return {token: Logprob(value, rank) for rank, (token, value) in enumerate(ranked, 1)}


def search(language: Language, params: BeamSearchParams) -> BeamSearch:
    found = BeamSearch(PROMPT, params, BeamEnds(frozenset() if params.ignore_eos else END))
    while not found.finished:
        found.advance([language.entries(tokens, params.beam_width) for tokens in found.prompts()])
    return found


def score(tokens: tuple[int, ...], value: float, params: BeamSearchParams) -> float:
    ended = tokens[-1] == EOS and not params.ignore_eos
    return value / float(len(PROMPT) + len(tokens) - ended) ** params.length_penalty


def plainly(language: Language, params: BeamSearchParams) -> list[tuple[tuple[int, ...], float]]:
    """The rounds of vLLM's search, all of them."""
    beams: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    whole = []
    for _ in range(params.max_tokens):
        longer = []
        for tokens, value in beams:
            for token, entry in language.entries(PROMPT + list(tokens), params.beam_width).items():
                grown = ((*tokens, token), value + entry.logprob)
                (whole if token == EOS and not params.ignore_eos else longer).append(grown)
        longer.sort(key=lambda beam: score(*beam, params), reverse=True)
        beams = longer[: params.beam_width]
    return sorted(whole + beams, key=lambda beam: score(*beam, params), reverse=True)[: params.beam_width]


params_of_searches = st.builds(
    BeamSearchParams,
    beam_width=st.integers(1, 4),
    max_tokens=st.integers(1, 5),
    ignore_eos=st.booleans(),
    length_penalty=st.sampled_from((1.0, 0.0, 0.5, 2.0, -1.0)),
)


@given(seed=st.integers(0, 10_000), size=st.integers(2, 5), params=params_of_searches)
def test_it_finds_what_all_rounds_would_find(seed: int, size: int, params: BeamSearchParams) -> None:
    language = Language(seed, size)
    found = search(language, params).best()
    assert [(tuple(beam.token_ids), beam.cumulative_logprob) for beam in found] == plainly(language, params)


@given(seed=st.integers(0, 10_000))
def test_a_search_as_wide_as_the_language_finds_the_best(seed: int) -> None:
    language, params = Language(seed, 3), BeamSearchParams(beam_width=27, max_tokens=3)
    scores = {}
    for tokens in itertools.product(range(3), repeat=3):
        answer = tokens[: tokens.index(EOS) + 1] if EOS in tokens else tokens
        value = sum(
            language.after(PROMPT + list(answer[:index]))[token] for index, token in enumerate(answer)
        )
        scores[answer] = score(answer, value, params)
    best = search(language, params).best()[0]
    assert tuple(best.token_ids) == max(scores, key=lambda answer: scores[answer])


def test_it_stops_once_nothing_better_can_come() -> None:
    found = {EOS: Logprob(-0.01, 1), 1: Logprob(-1.0, 2)}
    long = BeamSearch(PROMPT, BeamSearchParams(beam_width=1, max_tokens=1000), BeamEnds(END))
    long.advance([found])
    assert not long.finished, "an answer of 1000 tokens could have a better mean"
    short = BeamSearch(PROMPT, BeamSearchParams(beam_width=1, max_tokens=10), BeamEnds(END))
    short.advance([found])
    assert short.finished
    [beam] = short.best()
    assert (beam.token_ids, beam.finish_reason) == ([EOS], "stop")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"beam_width": 0, "max_tokens": 1}, "beam_width"),
        ({"beam_width": 1, "max_tokens": 0}, "max_tokens"),
        ({"beam_width": 1, "max_tokens": 1, "length_penalty": math.nan}, "length_penalty"),
        ({"beam_width": 1, "max_tokens": 1, "temperature": -1}, "temperature"),
    ],
)
def test_parameters_out_of_range(values: dict[str, float], named: str) -> None:
    with pytest.raises(ParameterError) as caught:
        BeamSearchParams(**values)  # type: ignore[arg-type]
    assert caught.value.parameter == named


def test_what_a_request_asks_for() -> None:
    params = SamplingParams(n=4, max_tokens=9, ignore_eos=True, temperature=1)
    assert beam_search_params(params, 0.5) == BeamSearchParams(4, 9, True, 1.0, 0.5)
    with pytest.raises(ParameterError, match="bad_words cannot be used together with use_beam_search"):
        beam_search_params(SamplingParams(bad_words=("x",)))


def test_tokens_of_a_request_end_beams_but_not_too_soon() -> None:
    found = {EOS: Logprob(-0.1, 1), 1: Logprob(-0.2, 2), 2: Logprob(-0.3, 3)}
    sampling = SamplingParams(stop_token_ids=[1], min_tokens=1)
    search = BeamSearch(PROMPT, BeamSearchParams(beam_width=3, max_tokens=3), beam_ends(sampling, [EOS]))
    search.advance([found])
    assert [beam.token_ids for beam in search.best()] == [[2]], "neither ends the first token"
    search.advance([found])
    ends = {tuple(beam.token_ids): (beam.finish_reason, beam.stop_reason) for beam in search.best()}
    assert ends == {(2, EOS): ("stop", None), (2, 1): ("stop", 1), (2, 2): ("length", None)}


@pytest.mark.parametrize("included", [False, True])
def test_strings_of_a_request_end_beams(included: bool, byte_level: Tokenizer) -> None:
    tokens = byte_level.encode("so it ends")
    params = BeamSearchParams(1, len(tokens), include_stop_str_in_output=included)
    ends = beam_ends(SamplingParams(stop=("it e", "ends"), ignore_eos=True), ())
    search = BeamSearch(PROMPT, params, ends, byte_level)
    for token in tokens:
        if not search.finished:
            search.advance([{token: Logprob(-0.1, 1)}])
    [beam] = search.best()
    answer = completion(search, beam, 0, byte_level)
    assert (answer.text, answer.stop_reason) == ("so it e" if included else "so ", "it e")
    assert byte_level.decode(answer.token_ids) in ("so it e", "so it en", "so it ends")


@pytest.fixture(scope="module")
def byte_level() -> Tokenizer:
    return tokenizer_from_gguf(byte_level_metadata())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("beams") / "tiny.gguf")


@asynccontextmanager
async def running(model: Path) -> AsyncIterator[AsyncLLM]:
    llm = AsyncLLM.launch(EngineConfig(model_path=str(model), executor="reference"))
    try:
        await llm.wait_ready()
        yield llm
    finally:
        await llm.shutdown()


async def test_server_and_script_find_the_same(model: Path) -> None:
    import asyncio

    params = BeamSearchParams(beam_width=3, max_tokens=6, ignore_eos=True)
    script = LLM(model, executor="reference")
    prompt = script.get_tokenizer().encode("the cat and the dog")
    [expected] = script.beam_search([{"prompt": "the cat and the dog"}], params)
    async with running(model) as llm:
        sampling = SamplingParams(ignore_eos=True, prompt_logprobs=0)
        search = BeamGeneration(llm, prompt, params, "beams", sampling=sampling, logprobs=True)
        arrived = asyncio.Event()
        search.start(arrived.set)
        await arrived.wait()
        output = search.take()
        search.close()
        with pytest.raises(PromptError, match="maximum context length"):
            BeamGeneration(llm, prompt, BeamSearchParams(3, 5000), "too long")
        given_up = BeamGeneration(llm, prompt, params, "given up")
        given_up.start(arrived.set)
        given_up.close()
    assert [prompt + answer.token_ids for answer in output.outputs] == [
        sequence.tokens for sequence in expected.sequences
    ]
    assert output.prompt_logprobs is not None
    assert len(output.prompt_logprobs) == len(prompt)
    for index, answer in enumerate(output.outputs):
        assert (answer.index, answer.finish_reason) == (index, "length")
        assert answer.text == script.get_tokenizer().decode(answer.token_ids)
        assert answer.cumulative_logprob == pytest.approx(expected.sequences[index].cum_logprob)
