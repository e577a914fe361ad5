"""Flags about requests: chat templates, tools, reasoning, and what answers hold."""

from __future__ import annotations

from pagoda.cli.flags.flag import Effect, Flag, Group, Kind

CHAT = Group(
    "Chat",
    "templates, tools, reasoning, and what answers hold",
    flags=(
        Flag(
            name="chat-template",
            kind=Kind.TEXT,
            metavar="FILE|TEXT",
            default="the model's own",
            help="A Jinja template, as a file or written out, that replaces the model's own.",
        ),
        Flag(
            name="chat-template-content-format",
            kind=Kind.TEXT,
            choices=("auto", "string", "openai"),
            effect=Effect.NONE,
            silent=("auto", "string"),
            help="the text parts of a message are joined, as every template here expects",
        ),
        Flag(
            name="default-chat-template-kwargs",
            kind=Kind.JSON,
            target="server.default_chat_template_kwargs",
            help='Template variables where a request gives none, such as {"enable_thinking": false}.',
        ),
        Flag(
            name="trust-request-chat-template",
            kind=Kind.SWITCH,
            default="off",
            target="server.trust_request_chat_template",
            help="Requests may bring a template of their own.",
        ),
        Flag(
            name="response-role",
            kind=Kind.TEXT,
            default="assistant",
            metavar="ROLE",
            target="server.response_role",
            help="The role of answers.",
        ),
        Flag(
            name="tool-call-parser",
            kind=Kind.TEXT,
            default="auto",
            metavar="NAME",
            help="How the model writes tool calls: hermes, qwen3_coder, qwen3_xml, llama3_json, mistral, "
            "auto "
            "(found from its template) or none.",
        ),
        Flag(
            name="enable-auto-tool-choice",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            silent=(True,),
            help="the model may always choose its tools (--tool-call-parser none forbids it)",
        ),
        Flag(
            name="exclude-tools-when-tool-choice-none",
            kind=Kind.SWITCH,
            default="off",
            target="server.exclude_tools_when_tool_choice_none",
            help='With tool_choice "none" the prompt does not tell of the tools.',
        ),
        Flag(
            name="tool-parser-plugin",
            kind=Kind.TEXT,
            effect=Effect.REFUSED,
            silent=("",),
            metavar="FILE",
            help="foreign parsers are not loaded; --tool-call-parser names those that are here",
        ),
        Flag(
            name="tool-server",
            kind=Kind.TEXT,
            effect=Effect.REFUSED,
            help="the server calls no tools itself; the client does",
        ),
        Flag(
            name="reasoning-parser",
            kind=Kind.TEXT,
            default="none (pagoda up: auto)",
            metavar="NAME",
            help="How the model marks its reasoning, to be told apart from the answer: qwen3, deepseek_r1, "
            "auto (found from its template) or none.",
        ),
        Flag(
            name="reasoning-parser-plugin",
            kind=Kind.TEXT,
            effect=Effect.REFUSED,
            silent=("",),
            metavar="FILE",
            help="foreign parsers are not loaded; --reasoning-parser names those that are here",
        ),
        Flag(
            name="reasoning-config",
            kind=Kind.JSON,
            effect=Effect.NONE,
            help="the marks of reasoning come with --reasoning-parser",
        ),
        Flag(
            name="structured-outputs-config",
            kind=Kind.JSON,
            effect=Effect.NONE,
            help="llguidance compiles every grammar, whatever the backend that is named; reasoning is never "
            "constrained",
        ),
        Flag(
            name="generation-config",
            kind=Kind.TEXT,
            default="auto",
            metavar="auto|vllm|FOLDER",
            help="Sampling where a request says nothing: the model's own (auto), neutral (vllm), or that "
            "of a "
            "generation_config.json elsewhere.",
        ),
        Flag(
            name="override-generation-config",
            kind=Kind.JSON,
            target="server.override_generation_config",
            help='Sampling defaults that go before those of the model, such as {"temperature": 0.5}.',
        ),
        Flag(
            name="max-logprobs",
            kind=Kind.INTEGER,
            default="20",
            least=-1,
            target="server.max_logprobs",
            help="Most alternatives of a token that a request may ask for; -1: all of the vocabulary.",
        ),
        Flag(
            name="logprobs-mode",
            kind=Kind.TEXT,
            default="raw_logprobs",
            choices=("raw_logprobs", "processed_logprobs", "raw_logits", "processed_logits"),
            help="Only raw_logprobs: those of the model itself, before temperature and penalties.",
        ),
        Flag(
            name="enable-prompt-tokens-details",
            kind=Kind.SWITCH,
            effect=Effect.NONE,
            silent=(True,),
            help="usage always tells how many tokens of the prompt came from the cache",
        ),
        Flag(
            name="enable-force-include-usage",
            kind=Kind.SWITCH,
            default="off",
            target="server.force_include_usage",
            help="Streams always tell their usage, in every chunk and at the end.",
        ),
        Flag(
            name="enable-tokenizer-info-endpoint",
            kind=Kind.SWITCH,
            default="off",
            target="server.tokenizer_info",
            help="Serve /tokenizer_info.",
        ),
        Flag(
            name="return-tokens-as-token-ids",
            kind=Kind.SWITCH,
            default="off",
            target="server.return_tokens_as_token_ids",
            help='Tokens in logprobs are written as "token_id:N".',
        ),
        Flag(
            name="stream-interval",
            kind=Kind.INTEGER,
            effect=Effect.NONE,
            silent=(1,),
            least=1,
            help="every token is sent as soon as it is there",
        ),
        Flag(
            name="fingerprint-mode",
            kind=Kind.TEXT,
            effect=Effect.NONE,
            silent=("full",),
            help="answers carry one fingerprint for engine and model",
        ),
    ),
)
