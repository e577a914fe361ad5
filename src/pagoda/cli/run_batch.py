"""`pagoda run-batch`: requests from a file, answers into a file, without a server that listens."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pagoda.cli.console import LoadingProgress, is_terminal, say
from pagoda.cli.errors import WrongUsageError
from pagoda.cli.flags.batch import RUN_BATCH
from pagoda.cli.flags.command_line import read_command_line
from pagoda.cli.flags.given import read_given

if TYPE_CHECKING:
    from tqdm import tqdm  # type: ignore[import-untyped]

    from pagoda.api.model_pool import ModelPool
    from pagoda.api.settings import ServerSettings
    from pagoda.cli.batch.output import AnswerFile
    from pagoda.cli.batch.runner import BatchStats
    from pagoda.cli.service import ServiceOptions

USAGE = """Usage: pagoda run-batch -i INPUT.jsonl -o OUTPUT.jsonl --model MODEL [FLAGS]

Answer the requests of a file in OpenAI's batch format (chat and text completions, embeddings, scores, rerank,
responses). A batch that was stopped goes on where it was when it is run again. FLAGS are those of
`pagoda serve`."""


def run(arguments: Sequence[str]) -> int:
    """Runs a batch to its end; returns the exit code. Raises what main turns into one line."""
    found = read_command_line(arguments, RUN_BATCH)
    if found.help is not None:
        from pagoda.cli.flags.help import help_text

        sys.stdout.write(help_text(RUN_BATCH, found.help, USAGE) + "\n")
        return 0
    from pagoda.cli.batch.output import AnswerFile
    from pagoda.cli.batch.source import local_input
    from pagoda.cli.flags import environment, notices
    from pagoda.cli.flags.meaning import service_options

    given = read_given(found, RUN_BATCH, os.environ)
    source, target = given.text("input-file"), given.text("output-file")
    if source is None or target is None:
        raise WrongUsageError("give the requests with -i FILE and the place of the answers with -o FILE")
    if target.startswith(("http://", "https://")):
        raise WrongUsageError("-o must be a file on this disk; send it elsewhere afterwards")
    lines = notices.notices(given.values, found.spelled, RUN_BATCH)
    options = service_options(given, RUN_BATCH)
    for line in [*lines, *environment.notices(os.environ)]:
        say(f"pagoda: {line}")
    environment.settle(os.environ, hf_token=given.text("hf-token"), download_dir=given.text("download-dir"))
    output = Path(target).expanduser()
    with local_input(source) as requests:
        if output.exists() and output.samefile(requests):
            raise WrongUsageError("-i and -o are the same file")
        with AnswerFile(output) as answers:
            stats = _run(options, requests, answers)
    say(f"{stats.line()}; see {output}")
    return 0


def _run(options: ServiceOptions, requests: Path, answers: AnswerFile) -> BatchStats:
    from pagoda.cli.pool import build_pool, engine_config
    from pagoda.cli.service import find_models, server_settings, with_tokenizer
    from pagoda.engine.async_llm import AsyncLLM

    models = find_models(options)
    options = with_tokenizer(options)
    llm = AsyncLLM.launch(engine_config(options, models[0]))
    settings = dataclasses.replace(
        server_settings(options, models[0]), api_keys=(), root_path="", data_dir=None
    )
    pool = build_pool(options, settings, models, llm)
    loading = LoadingProgress(f"Loading {settings.served_model_names[0]}")
    return asyncio.run(_answer_all(pool, settings, requests, answers, options.engine.max_num_seqs, loading))


async def _answer_all(
    pool: ModelPool,
    settings: ServerSettings,
    requests: Path,
    answers: AnswerFile,
    concurrency: int,
    loading: LoadingProgress,
) -> BatchStats:
    import httpx

    from pagoda.api.app import create_app
    from pagoda.cli.batch.runner import run_requests

    try:
        try:
            await pool.start(loading.update)
        finally:
            loading.finish()
        transport = httpx.ASGITransport(app=create_app(pool, settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://batch", timeout=None) as client:  # noqa: S113
            with _Progress() as progress:
                return await run_requests(
                    client, requests, answers, concurrency=concurrency, on_progress=progress.update
                )
    finally:
        await pool.shutdown()


class _Progress:
    """A bar on a terminal, a line at each tenth elsewhere."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._tenth = 0

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, stats: BatchStats) -> None:
        """Shows how far the batch is."""
        done = stats.already + stats.answered
        if is_terminal():
            if self._bar is None:
                from tqdm import tqdm

                self._bar = tqdm(total=stats.total, unit=" requests", leave=False)
            self._bar.update(done - self._bar.n)
        elif stats.total and done * 10 // stats.total > self._tenth:
            self._tenth = done * 10 // stats.total
            say(f"{done} of {stats.total} requests are answered")
