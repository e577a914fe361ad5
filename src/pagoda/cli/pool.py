"""From what was asked to be served to the pool of models of a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from pagoda.api.settings import ServerSettings
from pagoda.cli.console import progress_reporter
from pagoda.cli.errors import UsageError
from pagoda.engine.config import EngineConfig
from pagoda.hub import HubError, LocalModel, resolve_adapter

if TYPE_CHECKING:
    from pagoda.api.model_pool import ModelPool
    from pagoda.api.served_model import ServedModel
    from pagoda.cli.service import LoraModule, ServiceOptions
    from pagoda.engine.async_llm import AsyncLLM


def engine_config(options: ServiceOptions, model: LocalModel) -> EngineConfig:
    """The engine's settings for the default model."""
    return msgspec.structs.replace(
        options.engine,
        model_path=str(model.path),
        generation_config=dict(model.generation_config),
        chat_template=options.engine.chat_template or options.server.chat_template,
        memory_limit_bytes=options.model_memory,
    )


def further_config(options: ServiceOptions, model: LocalModel) -> EngineConfig:
    """The engine's settings for a model beside the default one: without what describes that one alone."""
    return msgspec.structs.replace(
        engine_config(options, model),
        chat_template=None,
        tokenizer=None,
        hf_overrides={},
        max_model_len=None,
        num_gpu_blocks_override=None,
        runner="auto",
        pooling=None,
        memory_limit_bytes=None,
    )


def build_pool(
    options: ServiceOptions,
    settings: ServerSettings,
    found: Sequence[LocalModel],
    llm: AsyncLLM,
    launch: Callable[[EngineConfig], AsyncLLM] | None = None,
) -> ModelPool:
    """The pool of the models found, in the order of `options.models`, with the adapters.

    llm: the engine of the first, which was launched. launch: how others are. Raises UsageError for
    names given twice and for adapters that are not there.
    """
    from pagoda.api.model_pool import ModelPool, PoolLimits
    from pagoda.api.served_model import ServedModel

    default = ServedModel(settings.served_model_names, llm.config, settings, root=str(found[0].path))
    default.put(llm)
    models = [default]
    for choice, local in zip(options.models[1:], found[1:], strict=True):
        models.append(further_model(options, settings, local, choice.name or local.name))
    bases = {name: model for model in reversed(models) for name in model.names}
    for choice, local, model in zip(options.models, found, models, strict=True):
        bases.setdefault(choice.model, model)  # by what it is called on Hugging Face, as vLLM's users do
        bases.setdefault(local.name, model)
    models += [_adapter(bases, default, module, options.offline) for module in options.lora_modules]
    names = [name for model in models for name in model.names]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two models have the name {name!r}; give each its own with --model NAME=PATH")
    limits = PoolLimits(
        keep_alive=options.keep_alive,
        max_loaded=options.max_loaded_models,
        memory_bytes=options.model_memory,
    )
    return ModelPool(models, limits, launch or llm.launch)


def further_model(
    options: ServiceOptions, settings: ServerSettings, local: LocalModel, name: str
) -> ServedModel:
    """A model beside the default one, as it was asked for on the command line or while the server runs."""
    from pagoda.api.served_model import ServedModel

    return ServedModel((name,), further_config(options, local), _for_others(settings), root=str(local.path))


def _for_others(settings: ServerSettings) -> ServerSettings:
    """Without what was chosen for the default model: the template, and parsers of its way to write."""
    return replace(
        settings,
        chat_template=None,
        reasoning_parser="auto" if settings.reasoning_parser is not None else None,
        tool_call_parser="auto" if settings.tool_call_parser is not None else None,
    )


def _adapter(
    bases: Mapping[str, ServedModel], default: ServedModel, module: LoraModule, offline: bool
) -> ServedModel:
    base = default if module.base is None else bases.get(module.base)
    if base is None:
        raise UsageError(f"the adapter {module.name!r} is for {module.base!r}, which is not served here")
    try:
        folder = resolve_adapter(module.path, progress=progress_reporter(), offline=offline)
    except HubError as error:
        raise UsageError(f"the adapter {module.name!r}: {error}") from error
    return base.with_adapter(module.name, str(folder))
