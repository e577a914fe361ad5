"""Vectors, classes and scores offline, with vLLM's names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.helpers import goldens

from pagoda import LLM
from pagoda.engine.pooling_outputs import EmbeddingRequestOutput, PoolingParams
from pagoda.engine.validation import PromptError

TEXTS = ["the cat sat on the mat", "a dog", "stock market money"]


@pytest.fixture(scope="module")
def llm() -> LLM:
    return LLM(goldens.FOLDER / "bert", executor="reference")


@pytest.fixture(scope="module")
def cross() -> LLM:
    return LLM(goldens.FOLDER / "bert_classifier", executor="reference")


def test_embeddings_in_the_order_of_the_prompts(llm: LLM) -> None:
    found = llm.embed(TEXTS, use_tqdm=False)
    assert [output.outputs.hidden_size for output in found] == [64] * 3
    assert all(output.finished and isinstance(output, EmbeddingRequestOutput) for output in found)
    assert len({output.request_id for output in found}) == 3
    tokens = [output.prompt_token_ids for output in found]
    again = llm.embed([{"prompt_token_ids": ids} for ids in tokens[::-1]], use_tqdm=False)
    assert [output.outputs.embedding for output in again[::-1]] == [o.outputs.embedding for o in found]
    assert llm.embed(TEXTS[0], use_tqdm=False)[0].outputs.embedding == found[0].outputs.embedding
    assert llm.embed({"prompt": TEXTS[0]}, use_tqdm=False)[0].prompt_token_ids == tokens[0]
    assert llm.embed(tokens[0], use_tqdm=False)[0].prompt_token_ids == tokens[0]


def test_parameters(llm: LLM) -> None:
    whole = np.array(llm.embed(TEXTS[0], use_tqdm=False)[0].outputs.embedding)
    params = PoolingParams(dimensions=8)
    short = np.array(llm.embed(TEXTS[0], pooling_params=params, use_tqdm=False)[0].outputs.embedding)
    np.testing.assert_allclose(short, whole[:8] / np.linalg.norm(whole[:8]), atol=1e-6)
    raw = llm.embed(TEXTS[0], pooling_params=PoolingParams(normalize=False), use_tqdm=False)
    assert abs(np.linalg.norm(raw[0].outputs.embedding) - 1) > 0.1
    cut = llm.embed("cat " * 400, truncate_prompt_tokens=9, use_tqdm=False)
    assert len(cut[0].prompt_token_ids) == 9
    options = {"truncation": True, "max_length": 9}
    same = llm.embed("cat " * 400, tokenization_kwargs=options, use_tqdm=False)
    assert same[0].outputs.embedding == cut[0].outputs.embedding


def test_vectors_of_tokens(llm: LLM) -> None:
    [found] = llm.encode("the cat", pooling_task="token_embed", use_tqdm=False)
    assert found.outputs.data.shape == (4, 64)
    [vector] = llm.encode("the cat", use_tqdm=False)
    assert vector.outputs.data.tolist() == llm.embed("the cat", use_tqdm=False)[0].outputs.embedding


def test_scores_are_cosines(llm: LLM) -> None:
    vectors = np.array([output.outputs.embedding for output in llm.embed(TEXTS, use_tqdm=False)])
    found = [output.outputs.score for output in llm.score(TEXTS[0], TEXTS, use_tqdm=False)]
    np.testing.assert_allclose(found, vectors @ vectors[0], atol=1e-6)
    pairs = llm.score(TEXTS, TEXTS[::-1], use_tqdm=False)
    assert pairs[0].outputs.score == pytest.approx(pairs[2].outputs.score)


def test_a_cross_encoder(cross: LLM) -> None:
    [score] = cross.score("the cat", "a dog", use_tqdm=False)
    raw = cross.score("the cat", "a dog", pooling_params=PoolingParams(use_activation=False), use_tqdm=False)
    assert score.outputs.score == pytest.approx(1 / (1 + np.exp(-raw[0].outputs.score)), abs=1e-6)
    assert len(score.prompt_token_ids) == 7
    [classes] = cross.classify("the cat", use_tqdm=False)
    assert classes.outputs.num_classes == 1
    [encoded] = cross.encode("the cat", use_tqdm=False)
    assert encoded.outputs.data.tolist() == classes.outputs.probs


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda llm, cross: llm.generate("a", use_tqdm=False), "makes vectors"),
        (lambda llm, cross: llm.classify("a", use_tqdm=False), "no labels"),
        (lambda llm, cross: cross.embed("a", use_tqdm=False), "classify"),
        (lambda llm, cross: llm.encode("a", pooling_task="classify", use_tqdm=False), "pooling task"),
        (lambda llm, cross: llm.embed("a", pooling_params=PoolingParams(dimensions=65)), "1 to 64"),
        (lambda llm, cross: llm.score(["a", "b"], ["c"] * 3), "2 texts cannot be scored against 3"),
        (lambda llm, cross: llm.score([], []), "cannot be scored"),
        (lambda llm, cross: llm.embed("a", tokenization_kwargs={"padding": True}), "padding"),
    ],
)
def test_what_a_model_cannot_do(
    llm: LLM, cross: LLM, call: Callable[[LLM, LLM], object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call(llm, cross)


def test_prompts_that_can_never_be_served(llm: LLM) -> None:
    for prompt in ("cat " * 400, [], [256], {"text": "a"}):
        with pytest.raises(PromptError):
            llm.embed([prompt], use_tqdm=False)  # type: ignore[list-item]
    assert llm.embed("a", use_tqdm=False)


def test_a_model_that_generates_makes_no_vectors() -> None:
    llm = LLM(goldens.FOLDER / "llama", executor="reference", skip_tokenizer_init=True)
    with pytest.raises(ValueError, match="runner='pooling'"):
        llm.embed([[1, 2]], use_tqdm=False)


def test_a_decoder_and_an_engine_of_its_own() -> None:
    folder = goldens.FOLDER / "llama"
    options = {"executor": "reference", "skip_tokenizer_init": True, "runner": "pooling"}
    here = LLM(folder, **options).embed([[1, 2, 3]], use_tqdm=False)
    there = LLM(folder, separate_process=True, **options).embed([[1, 2, 3]], use_tqdm=False)
    assert here[0].outputs.embedding == there[0].outputs.embedding
    assert np.linalg.norm(here[0].outputs.embedding) == pytest.approx(1.0, abs=1e-6)
