"""What a server is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Settings of one HTTP server. Names follow the flags of `vllm serve`.

    served_model_names: names the default model answers to; the first is the one in responses. Whoever serves
      fills in the model's own name where none is given.
    api_keys: a request below /v1 needs one of them; none means open to whoever reaches the port.
    model_root: where the model's files are, shown by /v1/models.
    root_path: the path under which a reverse proxy shows the server, such as "/llm".
    default_sampling: "auto" takes defaults from the model's generation_config, "vllm" neutral ones.
    override_generation_config: sampling defaults that go before the model's own.
    data_dir: where the server keeps what must outlive it (stored responses); None keeps it in memory.
    allowed_*: which web pages may call the API from a browser (CORS); "*" means all.
    max_body_bytes: larger request bodies are refused.
    middleware: import paths of classes or async functions that are put around the server (ASGI).
    chat_template: source that replaces the model's own template.
    default_chat_template_kwargs: template variables where a request gives none.
    trust_request_chat_template: accept a template in a request.
    tool_call_parser, reasoning_parser: a name of `pagoda.text.tools` or `pagoda.text.reasoning`; "auto" finds
      it from the chat template; None means none (tools with choice "auto" or "required" are then a 400).
    max_logprobs: the most alternatives of a token that a request may ask for; -1 means the vocabulary.
    dev_mode: serve /sleep, /wake_up, /reset_prefix_cache, /server_info (vLLM: VLLM_SERVER_DEV_MODE=1).
    allow_lora_updating: serve /v1/load_lora_adapter (vLLM: VLLM_ALLOW_RUNTIME_LORA_UPDATING=1).
    """

    served_model_names: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    model_root: str = ""
    root_path: str = ""
    default_sampling: str = "auto"
    override_generation_config: Mapping[str, Any] = field(default_factory=dict)
    data_dir: Path | None = None
    allowed_origins: tuple[str, ...] = ("*",)
    allowed_methods: tuple[str, ...] = ("*",)
    allowed_headers: tuple[str, ...] = ("*",)
    allow_credentials: bool = False
    middleware: tuple[str, ...] = ()
    max_body_bytes: int = 32 * 1024 * 1024
    chat_template: str | None = None
    default_chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    trust_request_chat_template: bool = False
    response_role: str = "assistant"
    tool_call_parser: str | None = "auto"
    reasoning_parser: str | None = None
    exclude_tools_when_tool_choice_none: bool = False
    max_logprobs: int = 20
    force_include_usage: bool = False
    return_tokens_as_token_ids: bool = False
    request_id_headers: bool = False
    tokenizer_info: bool = False
    docs: bool = True
    log_requests: bool = False
    log_outputs: bool = False
    max_log_len: int | None = None
    access_log: bool = False
    quiet_paths: tuple[str, ...] = ()  #: of these the access log says nothing
    stats_log_seconds: float = 10.0  #: between lines about throughput in the log; 0 means none
    ssl_keyfile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_ca_certs: Path | None = None  #: what clients' certificates must be signed by
    ssl_ciphers: str | None = None
    ssl_cert_reqs: int = 0  #: 0: clients bring no certificate, 1: they may, 2: they must
    shutdown_timeout: float = 0.0
    dev_mode: bool = False
    allow_lora_updating: bool = False

    def __post_init__(self) -> None:
        if self.default_sampling not in ("auto", "vllm"):
            raise ValueError(f"default_sampling must be 'auto' or 'vllm', not {self.default_sampling!r}")
