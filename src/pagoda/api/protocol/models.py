"""/v1/models."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class ModelPermission(BaseModel):
    id: str
    object: Literal["model_permission"] = "model_permission"
    created: int
    allow_create_engine: bool = False
    allow_sampling: bool = True
    allow_logprobs: bool = True
    allow_search_indices: bool = False
    allow_view: bool = True
    allow_fine_tuning: bool = False
    organization: str = "*"
    group: None = None
    is_blocking: bool = False


class ModelCard(BaseModel):
    """root: where the model's files are. parent: the model it is an adapter of. max_model_len: None where it
    is known only when the model is loaded. status: whether it is in memory, in addition to vLLM's fields.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "pagoda"
    root: str
    parent: str | None = None
    max_model_len: int | None
    permission: list[ModelPermission]
    status: Literal["unloaded", "loading", "loaded", "unloading", "sleeping"]


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]
