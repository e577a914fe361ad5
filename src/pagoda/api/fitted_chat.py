"""Chats of APIs whose clients fit their requests to no model: agents that ask for more tokens than a context
holds, and whose conversations have turns that some chat templates refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pagoda.api.chat_run import ChatRun, prepare_chat
from pagoda.api.errors import ApiError
from pagoda.api.prompts import chat_prompt, tokenize
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.state import ServerState

TOO_LONG = ("input_tokens", "input_text")  #: params of errors that say that a prompt does not fit
_REFUSED = "The chat template refuses"

Message = Mapping[str, Any]


async def prepare_fitted_chat(
    state: ServerState, headers: Mapping[str, str], request: ChatCompletionRequest
) -> tuple[ChatRun, bool]:
    """A chat that ends with the context where its limit is beyond that, and whether this is so. Its turns are
    put as the template takes them; see `accepted_forms`.

    Raises ApiError, also where the prompt alone does not fit.
    """
    forms = accepted_forms(request.messages)
    while True:
        try:
            return await _fitted(state, headers, request)
        except ApiError as error:
            if not error.message.startswith(_REFUSED) or not forms:
                raise
            request = request.model_copy(update={"messages": forms.pop(0)})


async def count_prompt(state: ServerState, request: ChatCompletionRequest) -> int:
    """Tokens of the prompt that `prepare_fitted_chat` makes, fits it or not. Raises ApiError."""
    lease = await state.lease(request.model)
    try:
        forms = [list(request.messages), *accepted_forms(request.messages)]
        while True:
            try:
                prompt = await chat_prompt(lease.llm, state.settings, request, forms.pop(0), request.tools)
                break
            except ApiError as error:
                if not error.message.startswith(_REFUSED) or not forms:
                    raise
        special = bool(request.add_special_tokens)
        return len(await tokenize(lease.llm.tokenizer, prompt.text, add_special_tokens=special))
    finally:
        lease.release()


def accepted_forms(messages: Sequence[Message]) -> list[list[dict[str, Any]]]:
    """The conversation in forms that more and more templates take, without those that change nothing.

    First system messages that come later speak as the user, and turns of the user that follow one another
    become one; then the user says what the first system message says.
    """
    plain: list[dict[str, Any]] = []
    for message in messages:
        role = "user" if plain and message["role"] in ("system", "developer") else message["role"]
        before = plain[-1] if plain else None
        if before is not None and role == before["role"] == "user":
            plain[-1] = {**before, "content": f"{before['content']}\n\n{message['content']}"}
        else:
            plain.append({**message, "role": role})
    forms = [plain]
    if len(plain) > 1 and plain[0]["role"] in ("system", "developer") and plain[1]["role"] == "user":
        text = f"{plain[0]['content']}\n\n{plain[1]['content']}"
        forms.append([{**plain[1], "content": text}, *plain[2:]])
    return [form for form in forms if form != list(messages)]


async def _fitted(
    state: ServerState, headers: Mapping[str, str], request: ChatCompletionRequest
) -> tuple[ChatRun, bool]:
    limit = request.max_completion_tokens
    if limit is None:
        return await prepare_chat(state, headers, request), False
    unlimited = request.model_copy(update={"max_completion_tokens": None})
    lease = await state.lease(request.model)
    longest = lease.llm.info.max_model_len
    lease.release()
    if limit >= longest:
        return await prepare_chat(state, headers, unlimited), True
    try:
        return await prepare_chat(state, headers, request), False
    except ApiError as error:
        if error.param not in TOO_LONG:
            raise
    return await prepare_chat(state, headers, unlimited), True
