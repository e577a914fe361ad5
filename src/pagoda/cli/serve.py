"""`pagoda serve`: one model behind an OpenAI-compatible API."""

from __future__ import annotations

from typing import Annotated

import typer

from pagoda.cli.options import (
    ENGINE,
    MODEL_HELP,
    SERVER,
    DefaultSampling,
    ExecutorName,
    ExecutorOption,
    Isa,
    MaxModelLen,
    Offline,
    QuantizationOption,
    Threads,
    parse_count,
)


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)],
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Address to listen on.", rich_help_panel=SERVER)
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help="Port to listen on; 0 takes a free one.",
            rich_help_panel=SERVER,
        ),
    ] = 8000,
    api_key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            help="A key that clients must send; may be given several times. Also from $PAGODA_API_KEY.",
            rich_help_panel=SERVER,
        ),
    ] = None,
    served_model_name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="The model's name in the API; may be given several times.",
            rich_help_panel=SERVER,
        ),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="The path under which a reverse proxy shows the server.",
            rich_help_panel=SERVER,
        ),
    ] = "",
    generation_config: Annotated[
        DefaultSampling,
        typer.Option(
            help="Default sampling: the model's own (auto) or neutral (vllm).", rich_help_panel=SERVER
        ),
    ] = DefaultSampling.AUTO,
    web: Annotated[bool, typer.Option(help="Serve the browser chat.", rich_help_panel=SERVER)] = True,
    max_model_len: MaxModelLen = None,
    quantization: QuantizationOption = None,
    max_num_seqs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Most requests that run at once.", rich_help_panel=ENGINE)
    ] = 256,
    max_num_batched_tokens: Annotated[
        int | None,
        typer.Option(
            parser=parse_count, metavar="TOKENS", help="Most tokens of one step.", rich_help_panel=ENGINE
        ),
    ] = None,
    kv_cache_memory_bytes: Annotated[
        int | None,
        typer.Option(
            parser=parse_count,
            metavar="BYTES",
            help="Memory of the cache, such as 2G. Default: what fits.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    enable_prefix_caching: Annotated[
        bool, typer.Option(help="Reuse the cache of prompts that begin alike.", rich_help_panel=ENGINE)
    ] = True,
    threads: Threads = None,
    isa: Isa = None,
    executor: ExecutorOption = ExecutorName.CPU,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of requests that give none.", rich_help_panel=ENGINE)
    ] = 0,
    offline: Offline = False,
) -> int:
    """Serve a model: OpenAI-compatible API and browser chat."""
    from pagoda.api.settings import ServerSettings
    from pagoda.cli.service import ModelChoice, ServiceOptions, run_service
    from pagoda.cli.settings import api_keys
    from pagoda.engine.config import EngineConfig

    return run_service(
        ServiceOptions(
            models=(ModelChoice(model),),
            engine=EngineConfig(
                model_path="",
                max_model_len=max_model_len,
                quantization=quantization.value if quantization else None,
                kv_cache_memory_bytes=kv_cache_memory_bytes,
                max_num_seqs=max_num_seqs,
                max_num_batched_tokens=max_num_batched_tokens,
                enable_prefix_caching=enable_prefix_caching,
                num_threads=threads,
                isa=isa.value if isa else None,
                executor=executor.value,
                seed=seed,
            ),
            server=ServerSettings(
                served_model_names=tuple(served_model_name or ()),
                api_keys=api_keys(api_key),
                root_path=root_path,
                default_sampling=generation_config.value,
            ),
            host=host,
            port=port,
            web=web,
            offline=offline,
        )
    )
