"""Fields of vLLM's and OpenAI's API that change the answer and are not served: refused by name, never
ignored.
"""

from __future__ import annotations

from typing import Any

from pagoda.api.errors import ApiError, bad_request
from pagoda.api.protocol.common import GenerationRequest

# Fields that ask for nothing when they are empty or false.
_WHEN_SET = (
    "allowed_token_ids",
    "audio",
    "bad_words",
    "echo",  # of chat completions; text completions have it
    "function_call",
    "functions",
    "guided_choice",
    "guided_decoding_backend",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "guided_whitespace_pattern",
    "kv_transfer_params",
    "logit_bias",
    "logits_processors",
    "logprob_token_ids",
    "prompt_embeds",
    "repetition_detection",
    "structured_outputs",
    "suffix",
    "thinking_token_budget",
    "truncate_prompt_tokens",
    "use_beam_search",
    "web_search_options",
)


def check_unsupported(request: GenerationRequest) -> None:
    """Raises ApiError 400 that names the first field which cannot be honoured."""
    for name in _WHEN_SET:
        if request.unlisted(name):
            raise _refusal(name)
    _check_tools(request)
    _check_values(request)


def _check_tools(request: GenerationRequest) -> None:
    tools, choice = request.unlisted("tools"), request.unlisted("tool_choice")
    if tools == []:
        raise bad_request("tools must hold at least one tool; leave it out where there are none.", "tools")
    if tools:
        raise _refusal("tools")
    if choice not in (None, "none", "auto"):
        raise bad_request("tool_choice needs tools.", "tool_choice")


def _check_values(request: GenerationRequest) -> None:
    best_of = request.unlisted("best_of")
    if best_of is not None and best_of != (request.n or 1):
        raise _refusal("best_of")
    if request.unlisted("chat_template"):
        raise bad_request(
            "A chat template in the request is not accepted: templates are programs. Use the model's own.",
            "chat_template",
        )
    if _type_of(request.unlisted("response_format")) not in (None, "text"):
        raise _refusal("response_format")
    modalities = request.unlisted("modalities")
    if modalities is not None and modalities != ["text"]:
        raise bad_request("This model writes text only; leave modalities out.", "modalities")


def _type_of(value: Any) -> Any:
    return value.get("type") if isinstance(value, dict) else value


def _refusal(name: str) -> ApiError:
    return bad_request(f"{name} is not supported yet; leave it out.", name)
