"""What a client of the engine needs to turn text into tokens and back; loaded while the engine loads
its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pagoda.engine.errors import EngineStartError
from pagoda.text.chat_template import ChatTemplate, TemplateError
from pagoda.text.load import load_tokenizer
from pagoda.text.tokenizer import Tokenizer
from pagoda.weights.checkpoint import CheckpointError


@dataclass(frozen=True, slots=True)
class TextTools:
    """A model's tokenizer and chat template. A template that cannot be used is kept as its error."""

    tokenizer: Tokenizer
    template: ChatTemplate | TemplateError | None

    @property
    def chat_template(self) -> ChatTemplate | None:
        """None for a model without one. Raises TemplateError for one that cannot be used."""
        if isinstance(self.template, TemplateError):
            raise self.template
        return self.template


def load_text_tools(model_path: Path, chat_template: str | None = None) -> TextTools:
    """Reads them from a GGUF file or a model folder. Raises EngineStartError where there is no tokenizer.

    chat_template: source that replaces the model's own.
    """
    try:
        return make_text_tools(load_tokenizer(model_path), chat_template)
    except CheckpointError as error:
        raise EngineStartError(str(error)) from error


def make_text_tools(tokenizer: Tokenizer, chat_template: str | None = None) -> TextTools:
    """Compiles the tokenizer's chat template, or the one that replaces it."""
    source = chat_template if chat_template is not None else tokenizer.chat_template
    if source is None:
        return TextTools(tokenizer, None)
    bos, eos = tokenizer.bos_token, tokenizer.eos_token
    try:
        return TextTools(tokenizer, ChatTemplate(source, bos_token=bos, eos_token=eos))
    except TemplateError as error:  # told to those who want to chat; everything else works
        return TextTools(tokenizer, error)
