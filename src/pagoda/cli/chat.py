"""`pagoda chat`: a conversation in the terminal, with an engine of its own or with a server."""

from __future__ import annotations

from typing import Annotated

import typer

from pagoda.cli.options import (
    ENGINE,
    MODEL_HELP,
    ExecutorName,
    ExecutorOption,
    Isa,
    MaxModelLen,
    Offline,
    Quantization,
    Threads,
)


def command(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help=MODEL_HELP + " Default: the small chat model.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Talk to this server (any with OpenAI's API) instead."),
    ] = None,
    model_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The server's model. Default: its first.")
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="The server's. Default: $OPENAI_API_KEY or $VLLM_API_KEY."),
    ] = None,
    quick: Annotated[
        str | None, typer.Option("--quick", "-q", metavar="MESSAGE", help="Answer this and stop.")
    ] = None,
    system: Annotated[
        str | None, typer.Option("--system", "--system-prompt", metavar="TEXT", help="System prompt.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0, metavar="X", help="0 is greedy. Default: the model's.")
    ] = None,
    top_p: Annotated[float | None, typer.Option(metavar="X", help="Default: the model's.")] = None,
    top_k: Annotated[int | None, typer.Option(metavar="N", help="Default: the model's.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Longest answer. Default: what the context holds.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Makes answers repeatable.")] = None,
    max_model_len: MaxModelLen = None,
    quantization: Annotated[
        Quantization | None,
        typer.Option(help="Quantise float weights while loading.", rich_help_panel=ENGINE),
    ] = None,
    threads: Threads = None,
    isa: Isa = None,
    executor: ExecutorOption = ExecutorName.CPU,
    offline: Offline = False,
) -> int:
    """Chat with a model in this terminal, or with a server's. With input from a pipe, answer it and stop."""
    from pagoda.cli.chat_terminal import run_chat
    from pagoda.cli.conversation import ChatSettings

    settings = ChatSettings(system, temperature, top_p, top_k, max_tokens, seed)
    if url is not None:
        from pagoda.cli.api_client import find_key
        from pagoda.cli.chat_remote import RemotePartner

        return run_chat(RemotePartner(url, find_key(api_key), model_name or model, settings), quick)
    from pagoda.cli.chat_local import LocalPartner
    from pagoda.cli.console import progress_reporter
    from pagoda.engine.config import EngineConfig
    from pagoda.hub import DEFAULT_MODEL, resolve

    found = resolve(model or DEFAULT_MODEL, progress=progress_reporter(), offline=offline)
    config = EngineConfig(
        model_path=str(found.path),
        max_model_len=max_model_len,
        quantization=quantization.value if quantization else None,
        max_num_seqs=1,
        num_threads=threads,
        isa=isa.value if isa else None,
        executor=executor.value,
        generation_config=dict(found.generation_config),
    )
    return run_chat(LocalPartner(config, found.name, settings), quick)
