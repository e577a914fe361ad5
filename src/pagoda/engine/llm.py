"""The offline API: `LLM(model).generate(prompts, params)`, with the names and results of vLLM's.

It runs the same engine as the server does, in this process or in one of its own.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from tqdm import tqdm  # type: ignore[import-untyped]

from pagoda.engine.config import EngineConfig, EngineInfo
from pagoda.engine.core import EngineCore
from pagoda.engine.model_files import find_model
from pagoda.engine.options import read_options
from pagoda.engine.outputs import RequestOutput
from pagoda.engine.params import SamplingParams
from pagoda.engine.processor import RequestState
from pagoda.engine.remote import RemoteEngine
from pagoda.engine.text_tools import make_text_tools
from pagoda.engine.validation import PromptError, check_prompt
from pagoda.text.chat_template import ChatTemplate, TemplateError
from pagoda.text.load import load_tokenizer
from pagoda.text.messages import prepare_messages
from pagoda.text.tokenizer import Tokenizer

Prompt: TypeAlias = str | Sequence[int] | Mapping[str, Any]
Conversation: TypeAlias = Sequence[Mapping[str, Any]]

_DEFAULT_MAX_TOKENS = 16


class LLM:
    """A model for batches of prompts. Not for use by two threads at once.

    model: a GGUF file, a folder of safetensors, or a name that the hub knows. quantization "int8" or "int4"
    quantises float weights while loading. skip_tokenizer_init: token ids in and out, no text.
    separate_process: run the engine in a process of its own instead of in this one. Further keyword arguments
    are those of EngineConfig; the ones of vLLM that mean nothing on a CPU are accepted, with a warning when
    they would change something there. Raises TypeError for unknown ones, ConfigurationError, CheckpointError
    or HubError with one line, and EngineStartError for a separate process.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        tokenizer: str | Path | None = None,
        max_model_len: int | None = None,
        quantization: str | None = None,
        enable_prefix_caching: bool = True,
        skip_tokenizer_init: bool = False,
        seed: int | None = 0,
        separate_process: bool = False,
        **options: Any,
    ) -> None:
        settings, ignored = read_options(options)
        for name, value in ignored.items():
            warnings.warn(f"LLM({name}={value!r}) has no effect here", stacklevel=2)
        path, generation_config = find_model(model)
        self.engine_config = EngineConfig(
            model_path=str(path),
            max_model_len=max_model_len,
            quantization=quantization,
            enable_prefix_caching=enable_prefix_caching,
            seed=seed,
            generation_config=generation_config,
            **settings,
        )
        self._tokenizer = (
            None if skip_tokenizer_init else load_tokenizer(find_model(tokenizer).path if tokenizer else path)
        )
        make_engine = RemoteEngine if separate_process else EngineCore
        self._engine: EngineCore | RemoteEngine = make_engine(self.engine_config)
        self._eos_token_ids = self._engine.info.eos_token_ids
        if self._tokenizer is not None:
            self._eos_token_ids = tuple(dict.fromkeys((*self._tokenizer.eos_token_ids, *self._eos_token_ids)))
        self._ids = count()
        # Requests without a seed of their own draw one here, so that a run of a script can be repeated.
        self._seeds = random.Random(self.engine_config.seed)  # noqa: S311

    @property
    def info(self) -> EngineInfo:
        """The sizes that were chosen and what was loaded."""
        return self._engine.info

    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        use_tqdm: bool = True,
        *,
        priority: Sequence[int] | None = None,
    ) -> list[RequestOutput]:
        """Answers all prompts; results are in their order.

        A prompt is a text, {"prompt": text}, a list of token ids or {"prompt_token_ids": ids}.
        sampling_params: one for all, one for each, or None for the model's own defaults and 16 tokens. Raises
        PromptError for a prompt or parameters that can never be served, before any work is done, and
        RequestFailedError when the engine fails.
        """
        wanted = _as_prompts(prompts)
        params = self._params_for(len(wanted), sampling_params)
        priorities = priority if priority is not None else [0] * len(wanted)
        if len(priorities) != len(wanted):
            raise ValueError(f"{len(wanted)} prompts came with {len(priorities)} priorities")
        states = [self._prepare(prompt, each) for prompt, each in zip(wanted, params, strict=True)]
        return self._run(states, priorities, use_tqdm)

    def chat(
        self,
        messages: Conversation | Sequence[Conversation],
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        use_tqdm: bool = True,
        *,
        chat_template: str | None = None,
        add_generation_prompt: bool = True,
        continue_final_message: bool = False,
        tools: Sequence[dict[str, Any]] | None = None,
        chat_template_kwargs: Mapping[str, Any] | None = None,
    ) -> list[RequestOutput]:
        """Answers one conversation or several, written out with the model's chat template (or
        `chat_template`).

        Raises TemplateError where there is none or it refuses the messages; else as `generate`.
        """
        tokenizer = self.get_tokenizer()
        template = self._own_template
        if chat_template is not None:
            template = ChatTemplate(
                chat_template, bos_token=tokenizer.bos_token, eos_token=tokenizer.eos_token
            )
        if template is None:
            raise TemplateError("This model has no chat template; use generate(), or pass chat_template.")
        single = bool(messages) and isinstance(messages[0], Mapping)
        conversations = [messages] if single or not messages else messages
        prompts: list[Prompt] = []
        for conversation in conversations:
            text = template.render(
                prepare_messages(conversation),  # type: ignore[arg-type]
                add_generation_prompt=add_generation_prompt,
                continue_final_message=continue_final_message,
                tools=tools,
                **(chat_template_kwargs or {}),
            )
            token_ids = tokenizer.encode(text, add_special_tokens=False)
            prompts.append({"prompt": text, "prompt_token_ids": token_ids})
        return self.generate(prompts, sampling_params, use_tqdm)

    def get_tokenizer(self) -> Tokenizer:
        """Raises ValueError with skip_tokenizer_init."""
        if self._tokenizer is None:
            raise ValueError("skip_tokenizer_init=True leaves no tokenizer; give prompts as token ids")
        return self._tokenizer

    def get_default_sampling_params(self) -> SamplingParams:
        """What the model's generation_config asks for, else greedy-free defaults; max_tokens 16 where it has
        none.
        """
        values = dict(self._engine.info.generation_config)
        names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
        chosen = {name: values[name] for name in names if values.get(name) is not None}
        if values.get("do_sample") is False:
            chosen["temperature"] = 0.0
        return SamplingParams.from_mapping(
            {**chosen, "max_tokens": values.get("max_new_tokens") or _DEFAULT_MAX_TOKENS}
        )

    def reset_prefix_cache(self) -> bool:
        """Forgets what the cache holds of earlier prompts."""
        self._engine.reset_prefix_cache()
        return True

    @cached_property
    def _own_template(self) -> ChatTemplate | None:
        return make_text_tools(self.get_tokenizer()).chat_template

    def _params_for(
        self, number: int, given: SamplingParams | Sequence[SamplingParams] | None
    ) -> list[SamplingParams]:
        if given is None:
            given = self.get_default_sampling_params()
        if isinstance(given, SamplingParams):
            return [given] * number
        if len(given) != number:
            raise ValueError(f"{number} prompts came with {len(given)} sampling_params")
        return list(given)

    def _prepare(self, prompt: Prompt, params: SamplingParams) -> RequestState:
        text, token_ids = _parts(prompt)
        if token_ids is None:
            if self._tokenizer is None:
                raise PromptError(
                    "prompt",
                    "skip_tokenizer_init=True needs prompts as token ids: {'prompt_token_ids': [...]}.",
                )
            token_ids = self._tokenizer.encode(text or "")
        if params.stop and self._tokenizer is None:
            raise PromptError(
                "stop", "Stop strings need a tokenizer; use stop_token_ids with skip_tokenizer_init."
            )
        info = self._engine.info
        params = check_prompt(token_ids, params, max_model_len=info.max_model_len, vocab_size=info.vocab_size)
        seed = params.seed if params.seed is not None else self._seeds.getrandbits(64)
        return RequestState(str(next(self._ids)), text, token_ids, params, self._tokenizer, seed)

    def _run(
        self, states: Sequence[RequestState], priorities: Sequence[int], use_tqdm: bool
    ) -> list[RequestOutput]:
        owners: dict[str, tuple[RequestState, int]] = {}
        results: dict[str, RequestOutput] = {}
        bar = _Bar(len(states), use_tqdm)
        try:
            for state, priority in zip(states, priorities, strict=True):
                commands = state.commands(
                    f"{state.request_id}.", eos_token_ids=self._eos_token_ids, priority=priority
                )
                for index, command in enumerate(commands):
                    owners[command.request_id] = (state, index)
                    self._engine.add_request(command)
            while owners and self._engine.has_work():
                for delta in self._engine.step().deltas:
                    if delta.request_id not in owners:
                        continue
                    state, index = owners[delta.request_id]
                    if state.push(index, delta):
                        self._engine.abort(delta.request_id)
                    if index not in state.unfinished():
                        del owners[delta.request_id]
                    if state.finished:
                        results[state.request_id] = state.take(everything=True)
                        bar.advance(state)
        finally:
            # Only after an error or Ctrl-C is anything left.
            for request_id in owners:
                self._engine.abort(request_id)
            bar.close()
        return [results[state.request_id] for state in states]


class _Bar:
    """A progress bar over prompts, with the tokens a second of all that are done."""

    def __init__(self, total: int, enabled: bool) -> None:
        text = f"est. speed input: {0:.2f} toks/s, output: {0:.2f} toks/s"
        self._bar = tqdm(
            total=total, desc="Processed prompts", dynamic_ncols=True, postfix=text, disable=not enabled
        )
        self._inputs = 0
        self._outputs = 0

    def advance(self, state: RequestState) -> None:
        self._inputs += len(state.prompt_token_ids)
        self._outputs += state.num_output_tokens
        elapsed = self._bar.format_dict["elapsed"] or 1e-9
        self._bar.postfix = (
            f"est. speed input: {self._inputs / elapsed:.2f} toks/s, "
            f"output: {self._outputs / elapsed:.2f} toks/s"
        )
        self._bar.update(1)

    def close(self) -> None:
        self._bar.close()


def _as_prompts(prompts: Prompt | Sequence[Prompt]) -> list[Prompt]:
    if isinstance(prompts, str | Mapping):
        return [prompts]
    if prompts and all(isinstance(token, int) for token in prompts):
        return [prompts]  # type: ignore[list-item]
    return list(prompts)  # type: ignore[arg-type]


def _parts(prompt: Prompt) -> tuple[str | None, list[int] | None]:
    """The text and the token ids of a prompt; one of them may be missing."""
    if isinstance(prompt, str):
        return prompt, None
    if isinstance(prompt, Mapping):
        text, token_ids = prompt.get("prompt"), prompt.get("prompt_token_ids")
        if not isinstance(text, str | None) or (text is None and token_ids is None):
            raise PromptError(
                "prompt", "A prompt needs a text under 'prompt' or token ids under 'prompt_token_ids'."
            )
        return text, None if token_ids is None else _ids(token_ids)
    return None, _ids(prompt)


def _ids(values: Any) -> list[int]:
    token_ids = list(values)
    if not all(isinstance(token, int) for token in token_ids):
        raise PromptError("prompt", "Token ids must be whole numbers.")
    return token_ids
