"""lm-evaluation-harness: log-likelihoods through /v1/completions, answers through both routes."""

from __future__ import annotations

import lm_eval.models  # noqa: F401 - registers what it finds
import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_model
from lm_eval.models.api_models import JsonChatStr

from conftest import Endpoint

pytestmark = pytest.mark.filterwarnings("ignore")


def requests(kind: str, arguments: list[tuple[object, ...]]) -> list[Instance]:
    return [Instance(kind, {}, each, index) for index, each in enumerate(arguments)]


def completions(chat: Endpoint) -> object:
    return get_model("local-completions").create_from_arg_string(
        f"model={chat.model},base_url={chat.v1}/completions,num_concurrent=1,max_retries=1,"
        "tokenized_requests=True,tokenizer_backend=remote,max_length=2048,batch_size=4"
    )


def test_loglikelihoods_are_exact(chat: Endpoint) -> None:
    model = completions(chat)
    pairs = [("The capital of France is", " Paris"), ("The capital of France is", " xylophone")]
    likely, unlikely = model.loglikelihood(requests("loglikelihood", pairs))
    assert likely[0] > unlikely[0]
    assert likely[1] in (True, False)
    again = model.loglikelihood(requests("loglikelihood", pairs))
    assert again == [likely, unlikely]


def test_is_greedy_is_true_for_the_models_own_words(chat: Endpoint) -> None:
    model = completions(chat)
    prompt = "One, two, three,"
    settings = {"max_gen_toks": 4, "temperature": 0, "until": []}
    [words] = model.generate_until(requests("generate_until", [(prompt, settings)]))
    assert words
    [(_, greedy)] = model.loglikelihood(requests("loglikelihood", [(prompt, words)]))
    assert greedy is True


def test_chat_answers(chat: Endpoint) -> None:
    model = get_model("local-chat-completions").create_from_arg_string(
        f"model={chat.model},base_url={chat.v1}/chat/completions,num_concurrent=1,max_retries=1"
    )
    message = JsonChatStr('[{"role": "user", "content": "Name a colour."}]')
    settings = {"max_gen_toks": 8, "temperature": 0, "until": ["\n\n"]}
    [text] = model.generate_until(requests("generate_until", [(message, settings)]))
    assert text
