"""Bodies of the routes that load and unload adapters."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class LoadLoraRequest(BaseModel):
    """lora_path: a folder on the server. base_model_name: the model it adapts, the default one if absent.
    load_inplace: replaces an adapter of that name.
    """

    model_config = ConfigDict(extra="allow")

    lora_name: str = ""
    lora_path: str = ""
    load_inplace: bool = False
    base_model_name: str | None = None


class UnloadLoraRequest(BaseModel):
    """lora_int_id is vLLM's, and without meaning here."""

    model_config = ConfigDict(extra="allow")

    lora_name: str = ""
    lora_int_id: int | None = None
