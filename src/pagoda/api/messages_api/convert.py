"""From a request of the Messages API to the chat that answers it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pagoda.api.errors import bad_request
from pagoda.api.other_apis import chat_of
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.protocol.messages import CountTokensRequest, MessagesRequest, ToolChoiceParam
from pagoda.api.responses_api.sealed import unseal

_log = logging.getLogger(__name__)

Block = Mapping[str, Any]

_BILLING = "x-anthropic-billing-header"
_OMITTED = "[left out here: this model reads text only]"
_CONSUMED = ("messages", "max_tokens", "max_completion_tokens", "n", "stream", "stream_options", "tools")
_SAMPLING = ("temperature", "top_k", "top_p")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_THINKING = {"enabled": True, "adaptive": True, "between_tools": True, "disabled": False}
#: what the chat's fields are called here
PARAMS = {
    "max_completion_tokens": "max_tokens",
    "stop": "stop_sequences",
    "response_format": "output_config.format",
}


def chat_request(request: CountTokensRequest) -> ChatCompletionRequest:
    """The chat. Raises ApiError 400."""
    if request.unlisted("mcp_servers"):
        raise bad_request("mcp_servers is not supported: tools run where the client runs.", "mcp_servers")
    messages = chat_messages(request)
    fields: dict[str, Any] = {
        name: value for name, value in (request.model_extra or {}).items() if name not in _CONSUMED
    }
    fields["messages"] = messages
    if messages[-1]["role"] == "assistant" and not messages[-1].get("tool_calls"):  # its beginning is given
        fields.update(continue_final_message=True, add_generation_prompt=False)
    fields.update(_tool_fields(request))
    fields.update(_thinking_fields(request))
    config = request.output_config
    if config is not None and config.effort is not None:
        fields["reasoning_effort"] = config.effort
    style = (config.format if config is not None else None) or request.output_format
    if style is not None:
        fields["response_format"] = _response_format(style)
    if isinstance(request, MessagesRequest):
        fields.update(stream=True, max_completion_tokens=request.max_tokens)
        fields.update(
            {name: getattr(request, name) for name in _SAMPLING if getattr(request, name) is not None}
        )
        if request.stop_sequences:
            fields["stop"] = request.stop_sequences
        user = (request.metadata or {}).get("user_id")
        if isinstance(user, str):
            fields["user"] = user
    return chat_of(fields, PARAMS)


def chat_messages(request: CountTokensRequest) -> list[dict[str, Any]]:
    """System text, turns of text, tool results as messages of their own. Raises ApiError 400."""
    messages: list[dict[str, Any]] = []
    if system := _system_text(request.system, "system"):
        messages.append({"role": "system", "content": system})
    for number, message in enumerate(request.messages):
        where = f"messages[{number}]"
        content: str | Sequence[Block] = message.content if message.content is not None else ""
        if message.role == "user":
            messages += _user(content, where)
        elif message.role == "assistant":
            if content or number < len(request.messages) - 1:  # an empty last one asks for nothing
                messages.append(_assistant(content, where))
        elif message.role == "system":
            _add_system(messages, _system_text(content, where))
        else:
            raise bad_request(f"{where}.role is {message.role!r:.64}; use user or assistant.", "messages")
    if not any(message["role"] != "system" for message in messages):
        raise bad_request("messages must hold a message of the user.", "messages")
    return messages


def _add_system(messages: list[dict[str, Any]], text: str) -> None:
    """Templates take one system message at the beginning; a later one stands where it stands."""
    if messages and all(message["role"] == "system" for message in messages):
        messages[-1]["content"] += f"\n\n{text}"
    elif text:
        messages.append({"role": "system", "content": text})


def _system_text(system: str | Sequence[Block] | None, where: str) -> str:
    """The text without the client's billing block, which is new with every request and would keep the prompt
    from being found in the cache.
    """
    texts = [system or ""] if system is None or isinstance(system, str) else _texts(system, where)
    kept = [text for text in map(_without_billing, texts) if text]
    return "\n\n".join(kept)


def _without_billing(text: str) -> str:
    if not text.lstrip().lower().startswith(_BILLING):
        return text
    return text.lstrip().partition("\n")[2].lstrip("\n")


def _texts(blocks: Sequence[Block], where: str, *, omit: bool = False) -> list[str]:
    """Texts of blocks. omit: what is no text becomes a note that says so, instead of an ApiError."""
    texts: list[str] = []
    for block in blocks:
        kind = block.get("type")
        if kind == "text" and isinstance(block.get("text"), str):
            texts.append(block["text"])
        elif (found := _document_text(block)) is not None:
            texts.append(found)
        elif omit:
            texts.append(_OMITTED)
        else:
            raise bad_request(
                f"{where} has a block of type {kind!r:.64}; this model reads text only, "
                'so send blocks of the form {"type": "text", "text": "..."}.',
                "messages",
            )
    return texts


def _document_text(block: Block) -> str | None:
    """The text of a document or search result that holds text; None for any other block."""
    kind, source = block.get("type"), block.get("source")
    title = block.get("title")
    head = [title] if isinstance(title, str) else []
    if kind == "document" and isinstance(source, dict):
        if source.get("type") == "text" and isinstance(source.get("data"), str):
            return "\n".join([*head, source["data"]])
        if source.get("type") != "content":
            return None
        inner = source.get("content")
    elif kind == "search_result":
        inner = block.get("content")
    else:
        return None
    if isinstance(inner, str):
        return "\n".join([*head, inner])
    blocks = [part for part in inner if isinstance(part, dict)] if isinstance(inner, list) else []
    return "\n".join([*head, *_texts(blocks, "", omit=True)])


def _user(content: str | Sequence[Block], where: str) -> Iterable[dict[str, Any]]:
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    messages: list[dict[str, Any]] = []
    texts: list[Block] = []

    def flush() -> None:
        if texts:
            text = "\n".join(_texts(texts, f"{where}.content"))
            messages.append({"role": "user", "content": text})
            texts.clear()

    for block in content:
        if block.get("type") == "tool_result":
            flush()
            messages.append(_tool_result(block, where))
        else:
            texts.append(block)
    flush()
    return messages or [{"role": "user", "content": ""}]


def _tool_result(block: Block, where: str) -> dict[str, Any]:
    call_id, content = block.get("tool_use_id"), block.get("content")
    if not isinstance(call_id, str):
        raise bad_request(f"{where}.content has a tool_result without a tool_use_id.", "messages")
    if isinstance(content, list):
        blocks = [part for part in content if isinstance(part, dict)]
        text = "\n".join(_texts(blocks, where, omit=True))
    else:
        text = content if isinstance(content, str) else ""
    if block.get("is_error") and not text.lower().startswith("error"):
        text = f"Error: {text}"
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def _assistant(content: str | Sequence[Block], where: str) -> dict[str, Any]:
    if isinstance(content, str):
        return {"role": "assistant", "content": content}
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    for block in content:
        kind = block.get("type")
        if kind == "text" and isinstance(block.get("text"), str):
            texts.append(block["text"])
        elif kind == "thinking":
            thoughts.append(block.get("thinking") or unseal(block.get("signature")))
        elif kind == "tool_use":
            calls.append(_tool_call(block, where))
        else:
            _log.warning("messages: a block of type %.64r is left out: nothing here reads it", kind)
    message: dict[str, Any] = {"role": "assistant", "content": "\n".join(texts) if texts else None}
    if thought := "\n".join(filter(None, thoughts)):
        message["reasoning"] = thought
    if calls:
        message["tool_calls"] = calls
    return message


def _tool_call(block: Block, where: str) -> dict[str, Any]:
    name, call_id, given = block.get("name"), block.get("id"), block.get("input")
    if not isinstance(name, str) or not isinstance(call_id, str):
        raise bad_request(f"{where}.content has a tool_use without an id and a name.", "messages")
    arguments = json.dumps(given if isinstance(given, dict) else {}, ensure_ascii=False)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _tool_fields(request: CountTokensRequest) -> dict[str, Any]:
    tools = []
    for tool in request.tools or ():
        if tool.input_schema is None and tool.type not in (None, "custom"):
            _log.warning("messages: the tool %.64r of type %.64r is left out", tool.name, tool.type)
            continue
        function: dict[str, Any] = {"name": tool.name}
        if tool.description is not None:
            function["description"] = tool.description
        function["parameters"] = tool.input_schema or {"type": "object", "properties": {}}
        tools.append({"type": "function", "function": function})
    choice = request.tool_choice
    if not tools:
        if not request.tools and choice is not None and choice.type in ("any", "tool"):
            raise bad_request("tool_choice needs tools.", "tool_choice")
        return {}
    fields: dict[str, Any] = {"tools": tools}
    if choice is not None:
        fields["tool_choice"] = _choice(choice)
        if choice.disable_parallel_tool_use:
            fields["parallel_tool_calls"] = False
    return fields


def _choice(choice: ToolChoiceParam) -> str | dict[str, Any]:
    if choice.type in _CHOICES:
        return _CHOICES[choice.type]
    if choice.type == "tool" and choice.name:
        return {"type": "function", "function": {"name": choice.name}}
    raise bad_request(
        "tool_choice.type must be auto, any, none, or tool with the name of a tool.", "tool_choice"
    )


def _thinking_fields(request: CountTokensRequest) -> dict[str, Any]:
    """Without `thinking` the model's own default holds."""
    variables = dict(request.chat_template_kwargs or {})
    fields: dict[str, Any] = {}
    thinking = request.thinking
    if thinking is not None:
        if thinking.type not in _THINKING:
            raise bad_request("thinking.type must be enabled, adaptive or disabled.", "thinking")
        variables.setdefault("enable_thinking", _THINKING[thinking.type])
        if thinking.type == "enabled" and thinking.budget_tokens is not None:
            if thinking.budget_tokens < 1:
                raise bad_request("thinking.budget_tokens must be at least 1.", "thinking")
            fields["thinking_token_budget"] = thinking.budget_tokens
    if variables:
        fields["chat_template_kwargs"] = variables
    return fields


def _response_format(style: Mapping[str, Any]) -> dict[str, Any]:
    schema = style.get("schema")
    if style.get("type") != "json_schema" or not isinstance(schema, dict):
        raise bad_request("output_config.format must have type json_schema and a schema.", "output_config")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
