"""Chats of APIs whose clients ask for more tokens than a context holds, and mean: as many as there is room
for.
"""

from __future__ import annotations

from collections.abc import Mapping

from pagoda.api.chat_run import ChatRun, prepare_chat
from pagoda.api.errors import ApiError
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.state import ServerState

TOO_LONG = ("input_tokens", "input_text")  #: params of errors that say that a prompt does not fit


async def prepare_fitted_chat(
    state: ServerState, headers: Mapping[str, str], request: ChatCompletionRequest
) -> tuple[ChatRun, bool]:
    """A chat that ends with the context where its limit is beyond that, and whether this is so.

    Raises ApiError, also where the prompt alone does not fit.
    """
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
