"""Fields of vLLM's and OpenAI's API that change the answer and are not served: refused by name, never
ignored.
"""

from __future__ import annotations

from collections.abc import Mapping

from pagoda.api.errors import ApiError, bad_request
from pagoda.api.protocol.common import GenerationRequest

# Fields that ask for nothing when they are empty or false, and what to do instead.
_WHEN_SET: Mapping[str, str] = {
    "audio": "this model writes text only",
    "function_call": "use tool_choice",
    "functions": "use tools",
    "logits_processors": "use logit_bias, bad_words or structured_outputs",
    "prompt_embeds": "send text or token ids",
    "suffix": "suffix is not currently supported",
    "web_search_options": "give the model a tool",
}


def check_unsupported(request: GenerationRequest) -> None:
    """Raises ApiError 400 that names the first field which cannot be honoured."""
    for name, instead in _WHEN_SET.items():
        if request.unlisted(name):
            raise _refusal(name, instead)
    modalities = request.unlisted("modalities")
    if modalities is not None and modalities != ["text"]:
        raise bad_request("This model writes text only; leave modalities out.", "modalities")


def _refusal(name: str, instead: str) -> ApiError:
    return bad_request(f"{name} is not supported: {instead}.", name)
