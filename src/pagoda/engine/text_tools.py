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


def load_text_tools(model_path: Path) -> TextTools:
    """Reads them from a GGUF file or a model folder. Raises EngineStartError where there is no tokenizer."""
    try:
        return make_text_tools(load_tokenizer(model_path))
    except CheckpointError as error:
        raise EngineStartError(str(error)) from error


def make_text_tools(tokenizer: Tokenizer) -> TextTools:
    """Compiles the tokenizer's chat template."""
    if tokenizer.chat_template is None:
        return TextTools(tokenizer, None)
    bos, eos = tokenizer.bos_token, tokenizer.eos_token
    try:
        return TextTools(tokenizer, ChatTemplate(tokenizer.chat_template, bos_token=bos, eos_token=eos))
    except TemplateError as error:  # told to those who want to chat; everything else works
        return TextTools(tokenizer, error)
