"""Puts the HTTP server's parts together."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from pagoda import __version__
from pagoda.api.auth import ApiKeyMiddleware
from pagoda.api.docs_page import docs_router
from pagoda.api.errors import install_error_handlers
from pagoda.api.head_requests import HeadMiddleware
from pagoda.api.metrics import ServerMetrics
from pagoda.api.middleware import ObserveMiddleware
from pagoda.api.model_pool import ModelPool, ServedModel
from pagoda.api.openapi import install_openapi
from pagoda.api.part import ServerPart
from pagoda.api.responses_api.service import ResponsesService
from pagoda.api.root_path import RootPathMiddleware
from pagoda.api.routes import (
    admin,
    chat,
    completions,
    embeddings,
    generate,
    health,
    invocations,
    lora,
    messages,
    metrics,
    models,
    responses,
    score,
    tokenize,
    tokenizer_info,
)
from pagoda.api.settings import ServerSettings
from pagoda.api.short_paths import ShortPathMiddleware
from pagoda.api.state import ServerState
from pagoda.api.user_middleware import add_middleware
from pagoda.engine.async_llm import AsyncLLM


def create_app(
    served: ModelPool | AsyncLLM, settings: ServerSettings, parts: Sequence[ServerPart] = ()
) -> FastAPI:
    """The app that serves a pool of models, or one engine by the names of `settings`, and other parts.

    The default model may still be loading: /health says so and requests get a 503 meanwhile.
    """
    pool = served if isinstance(served, ModelPool) else pool_of_one(served, settings)
    app = FastAPI(
        title="Pagoda",
        version=__version__,
        description="A private LLM service, compatible with OpenAI's API and with vLLM's further fields.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
    )
    state = ServerState(models=pool, settings=settings, metrics=ServerMetrics(pool.list))
    app.state.server = state
    app.state.responses = ResponsesService(state, settings.data_dir)
    install_error_handlers(app)
    install_openapi(app)
    answering = (chat, completions, responses, messages, embeddings, score, tokenize, generate, invocations)
    for routes in (*answering, models, health, metrics):
        app.include_router(routes.router)
    optional = (
        (settings.tokenizer_info, tokenizer_info),
        (settings.dev_mode, admin),
        (settings.allow_lora_updating, lora),
    )
    for wanted, further in optional:
        if wanted:
            app.include_router(further.router)
    if settings.docs:
        app.include_router(docs_router())
    for part in parts:
        part.install(app)
    app.add_middleware(HeadMiddleware, routes=app.routes)
    if settings.api_keys:
        app.add_middleware(
            ApiKeyMiddleware,
            api_keys=settings.api_keys,
            root_path=settings.root_path,
            key_books=[part.knows_key for part in parts],
        )
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(settings.allowed_origins),
        allow_methods=list(settings.allowed_methods),
        allow_headers=list(settings.allowed_headers),
        allow_credentials=settings.allow_credentials,
        expose_headers=["*"],
    )
    for name in settings.middleware:
        add_middleware(app, name)
    app.add_middleware(ObserveMiddleware, state=state)
    app.add_middleware(ShortPathMiddleware, root_path=settings.root_path)
    if settings.root_path.strip("/"):
        app.add_middleware(RootPathMiddleware, root_path=settings.root_path)
    return app


def pool_of_one(llm: AsyncLLM, settings: ServerSettings) -> ModelPool:
    """A pool that serves an engine which was launched, by the names of `settings`."""
    config = msgspec.structs.replace(llm.config, chat_template=settings.chat_template)
    model = ServedModel(settings.served_model_names, config, settings, root=settings.model_root)
    model.put(llm)
    model.residence = "loaded"
    return ModelPool([model])
