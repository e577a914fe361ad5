"""`pagoda up`: from nothing to a private chat in one command."""

from __future__ import annotations

from typing import Annotated

import typer

from pagoda.cli.options import MODEL_HELP, Isa, MaxModelLen, Offline, QuantizationOption, Threads


def command(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help=MODEL_HELP + " Default: a small chat model, fetched on first use."
        ),
    ] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the chat in a browser.")] = False,
    max_model_len: MaxModelLen = None,
    quantization: QuantizationOption = None,
    threads: Threads = None,
    isa: Isa = None,
    offline: Offline = False,
) -> int:
    """Start the service and its chat in the browser."""
    from pagoda.api.settings import ServerSettings
    from pagoda.cli.service import ModelChoice, ServiceOptions, run_service
    from pagoda.cli.settings import api_keys
    from pagoda.engine.config import EngineConfig
    from pagoda.hub import DEFAULT_MODEL

    return run_service(
        ServiceOptions(
            models=(ModelChoice(model or DEFAULT_MODEL),),
            engine=EngineConfig(
                model_path="",
                max_model_len=max_model_len,
                quantization=quantization.value if quantization else None,
                num_threads=threads,
                isa=isa.value if isa else None,
            ),
            server=ServerSettings(api_keys=api_keys(None), reasoning_parser="auto"),
            host=host,
            port=port,
            open_browser=open_browser,
            offline=offline,
        )
    )
