"""`pagoda complete`: lets a server go on with a text."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any

import typer

from pagoda.cli.api_client import DEFAULT_URL


def command(
    url: Annotated[
        str, typer.Option(metavar="URL", help="The server: any with OpenAI's completions.")
    ] = DEFAULT_URL,
    model_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model. Default: the server's first.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Default: $OPENAI_API_KEY or $VLLM_API_KEY.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Longest answer. Default: the server's.")
    ] = None,
    quick: Annotated[
        str | None, typer.Option("--quick", "-q", metavar="PROMPT", help="Complete this text and stop.")
    ] = None,
) -> int:
    """Let a running server go on with a text. With input from a pipe, complete it and stop."""
    from pagoda.cli.api_client import ApiClient, find_key
    from pagoda.cli.chat_terminal import plain_writer, read_message
    from pagoda.cli.errors import UsageError

    client = ApiClient(url, find_key(api_key))
    body: dict[str, Any] = {} if max_tokens is None else {"max_tokens": max_tokens}
    write = plain_writer()
    with asyncio.Runner() as runner:
        try:
            if quick is None and not sys.stdin.isatty():
                quick = sys.stdin.read()
                if not quick:
                    raise UsageError("there is nothing to complete: the input is empty")
            body["model"] = model_name or runner.run(client.first_model())
            if quick is not None:
                runner.run(_show(_complete(client, body, quick), write))
                write("\n")
                return 0
            typer.echo(f"{body['model']} at {client.url}\nCtrl-D leaves.")
            while True:
                try:
                    prompt = read_message(input)
                    if prompt.strip():
                        runner.run(_show(_complete(client, body, prompt), write))
                        write("\n")
                except KeyboardInterrupt:
                    typer.echo("\nCtrl-D leaves.")
                except EOFError:
                    typer.echo()
                    return 0
        finally:
            runner.run(client.close())


async def _complete(client: Any, body: dict[str, Any], prompt: str) -> AsyncGenerator[str, None]:
    async with aclosing(client.stream("/completions", {**body, "prompt": prompt})) as chunks:
        async for chunk in chunks:
            for choice in chunk.get("choices") or []:
                yield str(choice.get("text") or "")


async def _show(pieces: AsyncGenerator[str, None], write: Callable[[str], None]) -> None:
    async with aclosing(pieces):
        async for piece in pieces:
            write(piece)
