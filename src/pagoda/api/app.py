"""Puts the HTTP server's parts together."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from pagoda import __version__
from pagoda.api.auth import ApiKeyMiddleware
from pagoda.api.docs_page import docs_router
from pagoda.api.errors import install_error_handlers
from pagoda.api.metrics import ServerMetrics
from pagoda.api.model_pool import ModelPool, ServedModel
from pagoda.api.openapi import install_openapi
from pagoda.api.root_path import RootPathMiddleware
from pagoda.api.routes import chat, completions, health, metrics, models
from pagoda.api.settings import ServerSettings
from pagoda.api.state import ServerState
from pagoda.api.web_app import web_router
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.config import EngineInfo


def create_app(llm: AsyncLLM, settings: ServerSettings) -> FastAPI:
    """The app that serves `llm`, which may still be loading: /health says so and requests get a 503
    meanwhile.
    """
    app = FastAPI(
        title="Pagoda",
        version=__version__,
        description="A private LLM service, compatible with OpenAI's API and with vLLM's further fields.",
        docs_url=None,
        redoc_url=None,
    )

    def info() -> EngineInfo | None:
        return llm.info if llm.status in ("ready", "degraded") else None

    figures = ServerMetrics(settings.served_model_names[0], lambda: llm.stats, info)
    model = ServedModel(settings.served_model_names, llm, settings, figures, root=settings.model_root)
    app.state.server = ServerState(models=ModelPool([model]), settings=settings, metrics=figures)
    install_error_handlers(app)
    install_openapi(app)
    for routes in (chat, completions, models, health, metrics):
        app.include_router(routes.router)
    app.include_router(docs_router())
    app.include_router(web_router(settings.web_dir))
    if settings.api_keys:
        app.add_middleware(ApiKeyMiddleware, api_keys=settings.api_keys, root_path=settings.root_path)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(settings.allowed_origins),
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["*"],
    )
    if settings.root_path.strip("/"):
        app.add_middleware(RootPathMiddleware, root_path=settings.root_path)
    return app
