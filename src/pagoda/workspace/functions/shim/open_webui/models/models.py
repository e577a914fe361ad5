"""What is set about models."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pagoda.workspace.functions.plugin_process.peer import ask_now

from ..served import Nothing, ServedList, ServedModel


class ModelMeta(ServedModel):
    """meta."""

    description: str | None = None


class ModelParams(ServedModel):
    """params."""


class ModelModel(ServedModel):
    """A model that something is set about."""

    id: str
    name: str = ""
    base_model_id: str | None = None
    params: ModelParams = Field(default_factory=ModelParams)
    meta: ModelMeta = Field(default_factory=ModelMeta)


class ModelsTable:
    """Looks models up."""

    def get_model_by_id(self, id: str, **_options: Any) -> ModelModel | Nothing:  # noqa: A002
        found = ask_now("model", id=id)
        return Nothing() if found is None else ModelModel(**found)

    def get_all_models(self, **_options: Any) -> ServedList:
        return ServedList(ModelModel(**each) for each in ask_now("models"))

    get_models = get_all_models


Models = ModelsTable()
