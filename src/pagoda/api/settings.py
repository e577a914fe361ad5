"""What a server is started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Settings of one HTTP server.

    served_model_names: names the model answers to; the first is the one in responses.
    api_keys: a request below /v1 needs one of them; none means open to whoever reaches the port.
    model_root: where the model's files are, shown by /v1/models.
    root_path: the path under which a reverse proxy shows the server, such as "/llm".
    default_sampling: "auto" takes defaults from the model's generation_config, "vllm" neutral ones.
    web_dir: the built browser app; None serves a page that says so.
    allowed_origins: web pages of these origins may call the API from a browser; "*" means all.
    max_body_bytes: larger request bodies are refused.
    """

    served_model_names: tuple[str, ...]
    api_keys: tuple[str, ...] = ()
    model_root: str = ""
    root_path: str = ""
    default_sampling: str = "auto"
    web_dir: Path | None = None
    allowed_origins: tuple[str, ...] = ("*",)
    max_body_bytes: int = 32 * 1024 * 1024

    def __post_init__(self) -> None:
        if not self.served_model_names:
            raise ValueError("served_model_names must hold at least one name")
        if self.default_sampling not in ("auto", "vllm"):
            raise ValueError(f"default_sampling must be 'auto' or 'vllm', not {self.default_sampling!r}")
