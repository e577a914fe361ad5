"""What a running service shows of itself: one readable block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pagoda.cli.machine import in_container
from pagoda.cli.ports import is_loopback
from pagoda.engine.config import EngineInfo
from pagoda.hub import format_bytes

if TYPE_CHECKING:
    from pagoda.cli.service import ServiceOptions

#: who may use a workspace: nobody has an account yet, people with accounts, whoever comes
Access = Literal["setup", "accounts", "open"]


def ready_lines(
    info: EngineInfo, name: str, address: str, options: ServiceOptions, access: Access | None
) -> list[str]:
    """access: None where there is no workspace."""
    formats = ", ".join(sorted(info.weight_formats, key=lambda kind: -info.weight_formats[kind]))
    tokens = info.num_blocks * info.block_size
    threads = "1 thread" if info.num_threads == 1 else f"{info.num_threads} threads"
    rows = [
        ("Chat" if options.workspace and info.runner == "generate" else "Address", address),
        ("API", f"{address}/v1" + (" (with an API key)" if options.server.api_keys else "")),
        ("Model", f"{name} ({info.architecture}, {formats})"),
        ("Context", f"{info.max_model_len:,} tokens"),
        (
            "Memory",
            f"{format_bytes(info.weight_bytes)} weights, {format_bytes(info.cache_bytes)} cache "
            f"({tokens:,} tokens)",
        ),
        ("Engine", f"{threads}, {info.isa}, loaded in {info.load_seconds:.2f} s"),
    ]
    others = [choice.name or choice.model for choice in options.models[1:]]
    others += [module.name for module in options.lora_modules]
    if others:
        rows.append(("Also", f"{', '.join(others)} (loaded when asked for)"))
    rows.append(("Stop", "Ctrl-C"))
    rows += [("Note", note) for note in (*_access_notes(options, access), *info.notes)]
    width = max(len(title) for title, _ in rows)
    return ["", "Pagoda is ready.", *(f"  {title:<{width}}  {value}" for title, value in rows), ""]


def _access_notes(options: ServiceOptions, access: Access | None) -> Iterator[str]:
    """Who may come in."""
    reachable = options.uds is None and not is_loopback(options.host)
    if access == "open" and reachable:
        yield "whoever reaches this machine is the administrator, without signing in (WEBUI_AUTH=False)"
    elif access == "setup" and reachable:
        yield (
            "nobody has an account yet, and whoever opens the page first becomes its administrator: "
            "open it now, or set WEBUI_ADMIN_EMAIL and WEBUI_ADMIN_PASSWORD"
        )
    elif access == "setup":
        yield "nobody has an account yet; whoever opens the page first becomes its administrator"
    if reachable and not options.server.api_keys:
        yield "whoever reaches this machine may use the API; --api-key KEY asks for a key"
    elif options.uds is None and not reachable and in_container():
        yield "only this container reaches it; --host 0.0.0.0 lets others in"
