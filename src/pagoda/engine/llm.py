"""The offline API: `LLM(model).generate(prompts, params)`, with the names and results of vLLM's.

It runs the same engine as the server does, in this process or in one of its own.
"""

from __future__ import annotations

import gc
import os
import random
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from pagoda.engine.beam_search import BeamEnds, BeamSearch, BeamSearchOutput, BeamSearchParams, sequence
from pagoda.engine.config import EngineConfig, EngineInfo
from pagoda.engine.cores import Core, make_core
from pagoda.engine.llm_metrics import Metric, engine_metrics
from pagoda.engine.llm_pooling import PoolingMethods
from pagoda.engine.llm_prompts import Prompt, as_prompts, read_prompt
from pagoda.engine.llm_run import Bar, UseTqdm, run_requests
from pagoda.engine.model_files import find_model
from pagoda.engine.options import read_options
from pagoda.engine.outputs import LoRARequest, RequestOutput
from pagoda.engine.params import SamplingParams
from pagoda.engine.processor import RequestState
from pagoda.engine.remote import RemoteEngine
from pagoda.engine.script_tokenizer import ScriptTokenizer
from pagoda.engine.text_tools import make_text_tools
from pagoda.engine.validation import PromptError, check_logprobs, check_prompt, truncate_prompt
from pagoda.text.load import load_tokenizer

Engine: TypeAlias = Core | RemoteEngine
Conversation: TypeAlias = Sequence[Mapping[str, Any]]
SamplingChoice: TypeAlias = SamplingParams | Sequence[SamplingParams] | None
Adapters: TypeAlias = LoRARequest | Sequence[LoRARequest | None] | None

_DEFAULT_MAX_TOKENS = 16
_DEFAULTS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


@dataclass(frozen=True, slots=True)
class _Request:
    state: RequestState
    priority: int
    cache_salt: str
    adapter: LoRARequest | None


class LLM(PoolingMethods):
    """A model for batches of prompts. Not for use by two threads at once.

    model: a GGUF file, a folder of safetensors, or a name that the hub knows. quantization "int8" or "int4"
    quantises float weights while loading. skip_tokenizer_init: token ids in and out, no text.
    separate_process: run the engine in a process of its own instead of in this one. Further keyword arguments
    are those of EngineConfig and of vLLM's LLM (`engine.options`); the ones that mean nothing on a CPU are
    accepted, with a warning when they would change something there. Raises TypeError for unknown ones,
    ConfigurationError, CheckpointError or HubError with one line, and EngineStartError for a separate
    process.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        tokenizer: str | Path | None = None,
        max_model_len: int | None = None,
        quantization: str | None = None,
        enable_prefix_caching: bool | None = None,
        skip_tokenizer_init: bool = False,
        seed: int | None = 0,
        separate_process: bool = False,
        **options: Any,
    ) -> None:
        self._options = read_options(options)
        for name, value in self._options.ignored.items():
            warnings.warn(f"LLM({name}={value!r}) has no effect here", stacklevel=2)
        environ = {**os.environ, **self._options.hub}
        path, generation_config = find_model(model, self._options.revision, environ)
        tokenizer_path = path if tokenizer is None else find_model(tokenizer, environ=environ).path
        self.engine_config = EngineConfig(
            model_path=str(path),
            tokenizer=None if tokenizer_path == path else str(tokenizer_path),
            max_model_len=None if max_model_len == -1 else max_model_len,
            quantization=None if quantization == "gguf" else quantization,
            enable_prefix_caching=enable_prefix_caching is not False,
            seed=seed,
            generation_config=generation_config,
            **self._options.settings,
        )
        self._name = str(model)
        self._separate_process = separate_process
        self._tokenizer = None if skip_tokenizer_init else load_tokenizer(tokenizer_path)
        self._script_tokenizer: ScriptTokenizer | None = None
        self._engine: Engine | None = self._load()
        self._adapted: dict[str, Engine] = {}  # by the folder of their adapter
        self._info = self._engine.info
        self._eos_token_ids = self._info.eos_token_ids
        if self._tokenizer is not None:
            self._eos_token_ids = tuple(dict.fromkeys((*self._tokenizer.eos_token_ids, *self._eos_token_ids)))
        self._ids = count()
        self._waiting: list[_Request] = []
        # Requests without a seed of their own draw one here, so that a run of a script can be repeated.
        self._seeds = random.Random(self.engine_config.seed)  # noqa: S311

    @property
    def info(self) -> EngineInfo:
        """The sizes that were chosen and what was loaded."""
        return self._info

    def generate(
        self,
        prompts: Prompt | Sequence[Prompt] | None = None,
        sampling_params: SamplingChoice = None,
        use_tqdm: UseTqdm = True,
        *,
        lora_request: Adapters = None,
        priority: Sequence[int] | None = None,
        tokenization_kwargs: Mapping[str, Any] | None = None,
        prompt_token_ids: Sequence[int] | Sequence[Sequence[int]] | None = None,
    ) -> list[RequestOutput]:
        """Answers all prompts; results are in their order.

        A prompt is a text, {"prompt": text}, a list of token ids or {"prompt_token_ids": ids}; the argument
        prompt_token_ids is the old way to give the latter. sampling_params: one for all, one for each, or
        None for the model's own defaults and 16 tokens. use_tqdm: show a progress bar, or what makes one.
        priority: lower ones first. Raises PromptError (or another ValueError) for what can never be served,
        before any work is done, and RequestFailedError when the engine fails.
        """
        if prompts is None:
            if prompt_token_ids is None:
                raise PromptError("prompt", "There are no prompts: give texts or token ids.")
            prompts = prompt_token_ids
        return self._run(
            self._requests(prompts, sampling_params, lora_request, priority, tokenization_kwargs), use_tqdm
        )

    def enqueue(
        self,
        prompts: Prompt | Sequence[Prompt],
        sampling_params: SamplingChoice = None,
        lora_request: Adapters = None,
        priority: Sequence[int] | None = None,
        use_tqdm: UseTqdm = True,
        tokenization_kwargs: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """Puts prompts in line and returns their ids; `wait_for_completion` runs them. Arguments and errors
        are those of `generate`.
        """
        requests = self._requests(prompts, sampling_params, lora_request, priority, tokenization_kwargs)
        self._waiting += requests
        return [request.state.request_id for request in requests]

    def wait_for_completion(self, use_tqdm: UseTqdm = True) -> list[RequestOutput]:
        """Runs what `enqueue` has put in line, and gives the results in its order."""
        requests, self._waiting = self._waiting, []
        return self._run(requests, use_tqdm)

    def chat(
        self,
        messages: Conversation | Sequence[Conversation],
        sampling_params: SamplingChoice = None,
        use_tqdm: UseTqdm = True,
        *,
        lora_request: Adapters = None,
        chat_template: str | None = None,
        chat_template_content_format: str = "auto",
        add_generation_prompt: bool = True,
        continue_final_message: bool = False,
        tools: Sequence[dict[str, Any]] | None = None,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        tokenization_kwargs: Mapping[str, Any] | None = None,
        mm_processor_kwargs: Mapping[str, Any] | None = None,
    ) -> list[RequestOutput]:
        """Answers one conversation or several, written out with the model's chat template (or
        `chat_template`, as source or file).

        chat_template_content_format and mm_processor_kwargs change nothing: contents are texts. Raises
        TemplateError where there is no template or it refuses the messages; else as `generate`.
        """
        single = not messages or isinstance(messages[0], Mapping)
        options = {"add_special_tokens": False, **(tokenization_kwargs or {})}
        prompts: list[Prompt] = []
        for conversation in [messages] if single else messages:
            text = self.get_tokenizer().apply_chat_template(
                [conversation],  # type: ignore[arg-type]
                tools=tools,
                chat_template=chat_template,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=continue_final_message,
                tokenize=False,
                **(chat_template_kwargs or {}),
            )[0]
            token_ids = read_prompt(text, self._tokenizer, options)[1]
            prompts.append({"prompt": text, "prompt_token_ids": token_ids})
        return self.generate(prompts, sampling_params, use_tqdm, lora_request=lora_request)

    def beam_search(
        self,
        prompts: Prompt | Sequence[Prompt],
        params: BeamSearchParams,
        lora_request: Adapters = None,
        use_tqdm: bool = False,
        concurrency_limit: int | None = None,
    ) -> list[BeamSearchOutput]:
        """The most probable answers of each prompt (see `engine.beam_search`), at most concurrency_limit
        prompts at a time. Raises as `generate`.
        """
        wanted = [read_prompt(prompt, self._tokenizer)[1] for prompt in as_prompts(prompts)]
        adapters = _for_each(len(wanted), lora_request, "lora_requests")
        whole = SamplingParams(temperature=0, max_tokens=params.max_tokens)
        for token_ids in wanted:
            self._check(token_ids, whole)
        ends = BeamEnds(frozenset(() if params.ignore_eos else self._eos_token_ids))
        searches = [BeamSearch(token_ids, params, ends) for token_ids in wanted]
        size = concurrency_limit or max(1, len(searches))
        bar = Bar(len(searches), use_tqdm)
        try:
            for start in range(0, len(searches), size):
                self._search(searches[start : start + size], adapters[start : start + size], bar)
        finally:
            bar.close()
        return [
            BeamSearchOutput([sequence(search, beam, self._tokenizer) for beam in search.best()])
            for search in searches
        ]

    def get_tokenizer(self) -> ScriptTokenizer:
        """The tokenizer, with the usual methods of Transformers' ones. Raises ValueError with
        skip_tokenizer_init.
        """
        if self._tokenizer is None:
            raise ValueError("skip_tokenizer_init=True leaves no tokenizer; give prompts as token ids")
        if self._script_tokenizer is None:
            tools = make_text_tools(self._tokenizer, self.engine_config.chat_template)
            self._script_tokenizer = ScriptTokenizer(tools)
        return self._script_tokenizer

    def get_default_sampling_params(self) -> SamplingParams:
        """What the model's generation_config asks for, else the plain defaults; max_tokens 16 where it has
        none.
        """
        values = dict(self._info.generation_config) if self._options.model_defaults else {}
        values |= self._options.default_overrides
        chosen = {name: values[name] for name in _DEFAULTS if values.get(name) is not None}
        if values.get("do_sample") is False:
            chosen["temperature"] = 0.0
        return SamplingParams.from_mapping(
            {**chosen, "max_tokens": values.get("max_new_tokens") or _DEFAULT_MAX_TOKENS}
        )

    def get_metrics(self) -> list[Metric]:
        """The engine's counters and gauges, by the names of vLLM's."""
        return engine_metrics(self._awake().stats(), self._name)

    def reset_prefix_cache(self) -> bool:
        """Forgets what the cache holds of earlier prompts."""
        for engine in (self._awake(), *self._adapted.values()):
            engine.reset_prefix_cache()
        return True

    def sleep(self, level: int = 1, mode: str = "abort") -> None:
        """Gives the memory of weights and cache back until `wake_up`; levels and modes are all the same."""
        for engine in (self._engine, *self._adapted.values()):
            if isinstance(engine, RemoteEngine):
                engine.close()
        self._engine = None
        self._adapted.clear()
        gc.collect()

    def wake_up(self, tags: Sequence[str] | None = None) -> None:
        """Loads the model again, whatever the tags say. Raises as the constructor."""
        if self._engine is None:
            self._engine = self._load()

    def _load(self, adapter: str | None = None) -> Engine:
        config = self.engine_config
        if adapter is not None:
            config = msgspec.structs.replace(config, lora=adapter)
        return RemoteEngine(config) if self._separate_process else make_core(config)

    def _awake(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("The model sleeps; call wake_up() first.")
        return self._engine

    def _engine_for(self, adapter: LoRARequest | None) -> Engine:
        """The engine with an adapter merged into its weights; the one that was made first leaves for it when
        there are max_loras.
        """
        base = self._awake()
        if adapter is None:
            return base
        if adapter.lora_path not in self._adapted:
            while len(self._adapted) >= self._options.max_loras:
                gone = self._adapted.pop(next(iter(self._adapted)))
                if isinstance(gone, RemoteEngine):
                    gone.close()
            self._adapted[adapter.lora_path] = self._load(adapter.lora_path)
        return self._adapted[adapter.lora_path]

    def _default(self, given: SamplingChoice) -> SamplingParams | Sequence[SamplingParams]:
        return self.get_default_sampling_params() if given is None else given

    def _requests(
        self,
        prompts: Prompt | Sequence[Prompt],
        sampling_params: SamplingChoice,
        lora_request: Adapters,
        priority: Sequence[int] | None,
        tokenization: Mapping[str, Any] | None,
    ) -> list[_Request]:
        """Validates everything before anything runs."""
        wanted = as_prompts(prompts)
        params = _for_each(len(wanted), self._default(sampling_params), "sampling_params")
        priorities = _for_each(len(wanted), 0 if priority is None else priority, "priorities")
        adapters = _for_each(len(wanted), lora_request, "lora_requests")
        if wrong := [each for each in params if not isinstance(each, SamplingParams)]:
            raise TypeError(f"sampling_params must be SamplingParams, got {type(wrong[0]).__name__}")
        # Scripts may change parameters after they were made, and again after this.
        settled = {id(each): each.clone() for each in params}
        for each in settled.values():
            _check_grammar(each)
        params = [settled[id(each)] for each in params]
        return [
            _Request(self._prepare(prompt, each, tokenization), urgency, _salt(prompt), adapter)
            for prompt, each, urgency, adapter in zip(wanted, params, priorities, adapters, strict=True)
        ]

    def _prepare(
        self, prompt: Prompt, params: SamplingParams, tokenization: Mapping[str, Any] | None
    ) -> RequestState:
        if self._info.runner == "pooling":
            raise ValueError(
                "this model makes vectors and generates no text; use embed(), encode() or score()"
            )
        text, token_ids = read_prompt(prompt, self._tokenizer, tokenization)
        if params.stop and self._tokenizer is None:
            raise PromptError(
                "stop", "Stop strings need a tokenizer; use stop_token_ids with skip_tokenizer_init."
            )
        token_ids = truncate_prompt(token_ids, params, max_model_len=self._info.max_model_len)
        params = self._check(token_ids, params)
        seed = params.seed if params.seed is not None else self._seeds.getrandbits(64)
        return RequestState(str(next(self._ids)), text, token_ids, params, self._tokenizer, seed)

    def _check(self, token_ids: Sequence[int], params: SamplingParams) -> SamplingParams:
        vocab_size = self._info.vocab_size
        # Guides name the end tokens of other models: what is not in this vocabulary never comes.
        known = tuple(token for token in params.stop_token_ids if 0 <= token < vocab_size)
        if known != params.stop_token_ids:
            params = msgspec.structs.replace(params, stop_token_ids=known)
        check_logprobs(params, self._options.max_logprobs, vocab_size=vocab_size)
        return check_prompt(token_ids, params, max_model_len=self._info.max_model_len, vocab_size=vocab_size)

    def _run(self, requests: Sequence[_Request], use_tqdm: UseTqdm) -> list[RequestOutput]:
        bar = Bar(len(requests), use_tqdm)
        results: dict[str, RequestOutput] = {}
        try:
            for adapter in dict.fromkeys(request.adapter for request in requests):
                chosen = [request for request in requests if request.adapter == adapter]
                found = run_requests(
                    self._engine_for(adapter),
                    [request.state for request in chosen],
                    [request.priority for request in chosen],
                    [request.cache_salt for request in chosen],
                    self._eos_token_ids,
                    bar,
                )
                for output in found:
                    output.lora_request = adapter
                    for answer in output.outputs:
                        answer.lora_request = adapter
                    results[output.request_id] = output
        finally:
            bar.close()
        return [results[request.state.request_id] for request in requests]

    def _search(
        self, searches: Sequence[BeamSearch], adapters: Sequence[LoRARequest | None], bar: Bar
    ) -> None:
        """Runs the rounds of several searches side by side."""
        open_searches = list(zip(searches, adapters, strict=True))
        while open_searches:
            requests = []
            for search, adapter in open_searches:
                for prompt in search.prompts():
                    identity = str(next(self._ids))
                    state = RequestState(identity, None, prompt, search.sampling, self._tokenizer, 0)
                    requests.append(_Request(state, 0, "", adapter))
            outputs = iter(self._run(requests, False))
            for search, _ in open_searches:
                rounds = [next(outputs).outputs[0].logprobs or [{}] for _ in search.prompts()]
                search.advance([found[0] for found in rounds])
                if search.finished:
                    bar.count(len(search.prompt_token_ids), sum(len(b.token_ids) for b in search.best()))
            open_searches = [(search, adapter) for search, adapter in open_searches if not search.finished]


def _salt(prompt: Prompt) -> str:
    return str(prompt.get("cache_salt") or "") if isinstance(prompt, Mapping) else ""


def _check_grammar(params: SamplingParams) -> None:
    """Raises GrammarError for a constraint that cannot be compiled."""
    if params.structured_outputs is not None:
        from pagoda.engine.grammar import check_grammar  # it takes a while to import

        check_grammar(params.structured_outputs)


def _for_each(number: int, given: Any, name: str) -> list[Any]:
    """One value for each of `number` prompts: those of a list, or the same for all. Raises ValueError."""
    if not isinstance(given, Sequence):
        return [given] * number
    if len(given) != number:
        raise ValueError(f"{number} prompts came with {len(given)} {name}")
    return list(given)
