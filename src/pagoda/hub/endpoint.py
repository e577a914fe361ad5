"""Where Hugging Face is, whether it may be asked, and what an address there means."""

from __future__ import annotations

from collections.abc import Mapping

TRUE_WORDS = ("1", "on", "yes", "true")
_ADDRESSES = ("https://huggingface.co/", "huggingface.co/", "https://hf.co/", "hf.co/")


def hub_endpoint(environ: Mapping[str, str]) -> str:
    """Where Hugging Face is: $HF_ENDPOINT (a mirror) or the site itself."""
    return (environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_is_offline(environ: Mapping[str, str]) -> bool:
    """Whether the user forbade calls to Hugging Face."""
    switches = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(environ.get(name, "").lower() in TRUE_WORDS for name in switches)


def split_address(name: str, endpoint: str) -> tuple[str, str | None]:
    """(name, revision) of a page's address on the hub, as a browser shows it; another name as it is and None.

    endpoint: where the hub is, beside Hugging Face itself.
    """
    bare = name.partition("?")[0].partition("#")[0]
    start = next((each for each in (f"{endpoint}/", *_ADDRESSES) if bare.startswith(each)), None)
    if start is None:
        return name, None
    words = bare[len(start) :].strip("/").split("/")
    repo, inside = "/".join(words[:2]), words[4:]
    revision = words[3] if len(words) > 3 and words[2] in ("tree", "blob", "resolve") else None
    is_gguf = revision is not None and inside and inside[-1].endswith(".gguf")
    return "/".join([repo, *inside] if is_gguf else [repo]), None if revision == "main" else revision
