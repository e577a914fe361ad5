"""A model's tokenizer as scripts made for vLLM expect it: the common part of Transformers' tokenizers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pagoda.engine.options import template_source
from pagoda.engine.text_tools import TextTools
from pagoda.text.chat_template import ChatTemplate, TemplateError
from pagoda.text.messages import prepare_messages
from pagoda.text.tokenizer import Tokenizer

Conversation = Sequence[Mapping[str, Any]]


class Encoding(dict[str, Any]):
    """What calling a tokenizer gives: input_ids and attention_mask, as items and as attributes."""

    @property
    def input_ids(self) -> Any:
        return self["input_ids"]

    @property
    def attention_mask(self) -> Any:
        return self["attention_mask"]


class ScriptTokenizer:
    """Names, arguments and defaults are those of Transformers; results are lists, never tensors."""

    def __init__(self, tools: TextTools) -> None:
        self._tokenizer: Tokenizer = tools.tokenizer
        self._tools = tools

    @property
    def chat_template(self) -> str | None:
        """The source of the chat template."""
        template = self._tools.chat_template
        return None if template is None else template.source

    @property
    def bos_token(self) -> str | None:
        return self._tokenizer.bos_token or None

    @property
    def eos_token(self) -> str | None:
        return self._tokenizer.eos_token or None

    @property
    def bos_token_id(self) -> int | None:
        return self._tokenizer.bos_token_id

    @property
    def eos_token_id(self) -> int | None:
        """The first of those that end an answer."""
        return self._tokenizer.eos_token_ids[0] if self._tokenizer.eos_token_ids else None

    @property
    def vocab_size(self) -> int:
        return self._tokenizer.vocab_size

    @property
    def all_special_ids(self) -> list[int]:
        return sorted(self._tokenizer.special_ids)

    def __len__(self) -> int:
        return self._tokenizer.vocab_size

    def __call__(
        self,
        text: str | Sequence[str],
        *,
        add_special_tokens: bool = True,
        truncation: bool = False,
        max_length: int | None = None,
    ) -> Encoding:
        """Token ids of a text or of several."""

        def one(each: str) -> list[int]:
            return self.encode(
                each, add_special_tokens=add_special_tokens, truncation=truncation, max_length=max_length
            )

        ids = one(text) if isinstance(text, str) else [one(each) for each in text]
        mask = [1] * len(ids) if isinstance(text, str) else [[1] * len(each) for each in ids]  # type: ignore[arg-type]
        return Encoding(input_ids=ids, attention_mask=mask)

    def encode(
        self,
        text: str,
        *,
        add_special_tokens: bool = True,
        truncation: bool = False,
        max_length: int | None = None,
    ) -> list[int]:
        """Token ids of a text. Raises ValueError for one that is not Unicode."""
        ids = self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
        return ids[:max_length] if truncation and max_length is not None else ids

    def decode(self, token_ids: int | Sequence[int], skip_special_tokens: bool = False) -> str:
        """The text of a token or of several."""
        ids = [token_ids] if isinstance(token_ids, int) else list(token_ids)
        return self._tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)

    def batch_decode(
        self, sequences: Sequence[Sequence[int]], skip_special_tokens: bool = False
    ) -> list[str]:
        return [self.decode(each, skip_special_tokens) for each in sequences]

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> Any:
        """The id of a token as the vocabulary spells it, or those of several; None for one it does not
        have.
        """
        if isinstance(tokens, str):
            return self._tokenizer.token_to_id(tokens)
        return [self._tokenizer.token_to_id(token) for token in tokens]

    def convert_ids_to_tokens(self, ids: int | Sequence[int]) -> Any:
        """How the vocabulary spells a token, or several."""
        if isinstance(ids, int):
            return self._tokenizer.id_to_token(ids)
        return [self._tokenizer.id_to_token(index) for index in ids]

    def token_text(self, index: int) -> str:
        """The text of a single token, as log-probabilities report it; U+FFFD for a part of a character."""
        return self._tokenizer.token_text(index)

    def apply_chat_template(
        self,
        conversation: Conversation | Sequence[Conversation],
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        documents: Sequence[dict[str, Any]] | None = None,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: bool = True,
        **variables: Any,
    ) -> Any:
        """The prompt of a conversation, or of several: token ids, or text with tokenize=False. Further
        arguments are variables of the template, such as enable_thinking. Raises TemplateError.
        """
        template = self._tools.chat_template
        if chat_template is not None:
            source = template_source(chat_template)
            tokenizer = self._tokenizer
            template = ChatTemplate(source, bos_token=tokenizer.bos_token, eos_token=tokenizer.eos_token)
        if template is None:
            raise TemplateError("This model has no chat template; use generate(), or pass chat_template.")
        if documents is not None:
            variables["documents"] = documents
        single = bool(conversation) and isinstance(conversation[0], Mapping)
        prompts: list[Any] = []
        for messages in [conversation] if single else conversation:
            text = template.render(
                prepare_messages(messages),  # type: ignore[arg-type]
                add_generation_prompt=add_generation_prompt,
                continue_final_message=continue_final_message,
                tools=tools,
                **variables,
            )
            prompts.append(self.encode(text, add_special_tokens=False) if tokenize else text)
        return prompts[0] if single else prompts
