"""How clients speak with a pooling engine: the command for a prompt, and the vector in its answer."""

from __future__ import annotations

import time

import msgspec
import numpy as np
import numpy.typing as npt

from pagoda.engine.errors import RequestFailedError
from pagoda.engine.messages import AddRequest, PoolingTask, TokenDelta
from pagoda.engine.params import SamplingParams
from pagoda.engine.pooling_inputs import PoolingInput


def pooling_command(
    request_id: str, prompt: PoolingInput, params: PoolingTask, priority: int = 0, user: str = ""
) -> AddRequest:
    """A prompt as a pooling engine takes it."""
    if prompt.segments_from is not None:
        params = msgspec.structs.replace(params, segments_from=prompt.segments_from)
    return AddRequest(
        request_id=request_id,
        prompt_token_ids=prompt.token_ids,
        params=SamplingParams(),
        priority=priority,
        user=user,
        arrival_time=time.monotonic(),
        pooling=params,
    )


def pooling_result(delta: TokenDelta, command: AddRequest) -> npt.NDArray[np.float32]:
    """The vector of an answer, or (tokens, size) where those of all tokens were asked for. Raises
    RequestFailedError for an answer without one.
    """
    if delta.pooled is None:
        raise RequestFailedError(delta.error or "the request was aborted")
    values = np.frombuffer(delta.pooled, np.float32)
    every_token = command.pooling is not None and command.pooling.every_token
    return values.reshape(len(command.prompt_token_ids), -1) if every_token else values
