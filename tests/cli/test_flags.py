"""From command lines to values: every spelling that `vllm serve` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagoda.api.settings import ServerSettings
from pagoda.cli.errors import UsageError, WrongUsageError
from pagoda.cli.flags.command_line import read_command_line
from pagoda.cli.flags.flag import Effect, Flag, Kind
from pagoda.cli.flags.given import read_given
from pagoda.cli.flags.help import help_text
from pagoda.cli.flags.notices import notices
from pagoda.cli.flags.table import SERVE
from pagoda.cli.service import ServiceOptions
from pagoda.engine.config import EngineConfig


def read(*arguments: str) -> dict[str, Any]:
    """Values by the names of flags."""
    return dict(read_given(read_command_line(["m", *arguments], SERVE), SERVE, {}).values)


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (["--max-model-len", "4096"], {"max-model-len": 4096}),
        (["--max_model_len=32k"], {"max-model-len": 32_000}),
        (["--max-model-len=32K"], {"max-model-len": 32_768}),
        (["--max_model-len", "1M"], {"max-model-len": 2**20}),
        (["--max-model-len", "auto"], {"max-model-len": None}),
        (["--max-model-len", "-1"], {"max-model-len": None}),
        (["--enable-prefix-caching"], {"enable-prefix-caching": True}),
        (["--no-enable-prefix-caching"], {"enable-prefix-caching": False}),
        (["--no_enable_prefix_caching"], {"enable-prefix-caching": False}),
        (["--enable-chunked-prefill=False"], {"enable-chunked-prefill": False}),
        (["--enable-chunked-prefill", "False"], {"enable-chunked-prefill": False}),
        (["-tp", "4"], {"tensor-parallel-size": 4}),
        (["-tp=4", "-pp", "2"], {"tensor-parallel-size": 4, "pipeline-parallel-size": 2}),
        (["-dp=3"], {"data-parallel-size": 3}),
        (["-q", "int8"], {"quantization": "int8"}),
        (["-asc", "2"], {"api-server-count": 2}),
        (["-O3"], {"compilation-config": 3}),
        (["-O", "3"], {"compilation-config": 3}),
        (["-O=2"], {"compilation-config": 2}),
        (["-O.mode", "3"], {"compilation-config": {"mode": 3}}),
        (["-cc.mode=3"], {"compilation-config": {"mode": 3}}),
        (["-cc", '{"mode": 3}'], {"compilation-config": {"mode": 3}}),
        (["-sc", '{"method": "ngram"}'], {"speculative-config": {"method": "ngram"}}),
        (
            ["--speculative-config.method", "ngram", "--speculative_config.num_speculative_tokens=4"],
            {"speculative-config": {"method": "ngram", "num_speculative_tokens": 4}},
        ),
        (
            ["--hf-overrides.rope_scaling.factor", "4", "--hf-overrides.rope_scaling.rope_type", "yarn"],
            {"hf-overrides": {"rope_scaling": {"factor": 4, "rope_type": "yarn"}}},
        ),
        (["-sc.sizes+", "1", "-sc.sizes+", "2"], {"speculative-config": {"sizes": [1, 2]}}),
        (["--structured-outputs-config.backend", "auto"], {"structured-outputs-config": {"backend": "auto"}}),
        (["--api-key", "K1", "K2"], {"api-key": ["K1", "K2"]}),
        (["--api-key", "K1", "--api-key=K2"], {"api-key": ["K1", "K2"]}),
        (["--served-model-name", "a", "b", "--port", "1"], {"served-model-name": ["a", "b"], "port": 1}),
        (["--lora-modules", "a=p", "b=q"], {"lora-modules": ["a=p", "b=q"]}),
        (["--allowed-origins", '["*"]'], {"allowed-origins": ["*"]}),
        (["--allowed-origins", "http://a", "http://b"], {"allowed-origins": ["http://a", "http://b"]}),
        (["--hf-token"], {"hf-token": ""}),
        (["--hf-token", "--port", "2"], {"hf-token": "", "port": 2}),
        (["--kv-cache-memory-bytes", "1.5G"], {"kv-cache-memory-bytes": 3 * 2**29}),
        (["--gpu-memory-utilization", ".9"], {"gpu-memory-utilization": 0.9}),
        (["--keep-alive", "5m"], {"keep-alive": 300.0}),
        (["--keep-alive", "-1"], {"keep-alive": -1.0}),
        (["--keep-alive=1.5h"], {"keep-alive": 5400.0}),
        (["--keep-alive", "30s", "--keep-alive", "0"], {"keep-alive": 0.0}),
        (["--seed", "-1"], {"seed": -1}),
        (["--port", "1", "--port", "2"], {"port": 2}),
        (["--override-pooler-config", '{"a": 1}'], {"pooler-config": {"a": 1}}),
        (["--rope-scaling", '{"rope_type": "yarn", "\nfactor": 4.0}'], {
            "rope-scaling": {"rope_type": "yarn", "factor": 4.0}}),
    ],
)  # fmt: skip
def test_spellings(arguments: list[str], values: dict[str, Any]) -> None:
    assert read(*arguments) == values


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--max-modle-len", "1"], ["no flag --max-modle-len", "did you mean --max-model-len"]),
        (["--zzzzzz"], ["no flag --zzzzzz"]),
        (["-zz"], ["no flag -zz"]),
        (["--port"], ["--port needs a value: PORT"]),
        (["--port", "--host", "x"], ["--port needs a value"]),
        (["--port", "-tp", "2"], ["--port needs a value"]),
        (["--port", "70000"], ["--port: 70000 is not between 0 and 65535"]),
        (["--keep-alive", "soon"], ["--keep-alive: 'soon' is not a time such as"]),
        (["--step-timeout", "-1"], ["--step-timeout: -1 is less than 0"]),
        (["--port", "eight"], ["--port: 'eight'"]),
        (["--max-model-len", "0"], ["--max-model-len", "at least 1"]),
        (["--no-port"], ["no flag --no-port"]),
        (["--no-enable-prefix-caching=true"], ["takes no value"]),
        (["--enable-prefix-caching=maybe"], ["'maybe' is neither true nor false"]),
        (["--port.a", "1"], ["--port has no field 'a'"]),
        (["--hf-overrides", "{"], ["--hf-overrides: '{' is not valid JSON"]),
        (["-sc.a", "1", "-sc.a.b", "2"], ["'a' is not an object"]),
        (["--scheduling-policy", "lottery"], ["'lottery' is not one of fcfs, priority"]),
        (["--gpu-memory-utilization", "nan"], ["--gpu-memory-utilization: nan"]),
        (["--gpu-memory-utilization", "2"], ["between 0.01 and 1"]),
        (["--allowed-origins", "[1]"], ["not a list of texts"]),
        (["--served-model-name"], ["--served-model-name needs a value"]),
        (["second"], ["one MODEL is expected, not m and second"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], words: list[str]) -> None:
    with pytest.raises(WrongUsageError) as caught:
        read(*arguments)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value


def models(*arguments: str, config: Path | None = None) -> tuple[str, ...]:
    more = ["--config", str(config)] if config else []
    return read_given(read_command_line([*arguments, *more], SERVE), SERVE, {}).models


def test_the_model_may_stand_anywhere(tmp_path: Path) -> None:
    assert models("m", "--port", "1") == ("m",)
    assert models("--port", "1", "m") == ("m",)
    assert models("--model", "m") == ("m",)
    assert models("--served-model-name", "tiny", "m") == ("m",), "a model must be named somewhere"
    assert models("--served-model-name", "tiny", "--", "m") == ("m",)
    assert models("--model", "a=p", "--model", "b=q") == ("a=p", "b=q")
    assert models("--model", "a=p", "b=q") == ("a=p", "b=q")
    file = tmp_path / "c.yaml"
    file.write_text("model: from-file\n")
    assert models(config=file) == ("from-file",)
    assert models("m", config=file) == ("m",)
    file.write_text("model: [a=p, q]\n")
    assert models(config=file) == ("a=p", "q")
    file.write_text("model:\n  a: p\n  b: q\n")
    assert models(config=file) == ("a=p", "b=q")


YAML = """
model: org/name
port: 9000
host: "0.0.0.0"
max-model-len: 32k
max_num_seqs: 7
served_model_name: [a, b]
api-key: K
enable-prefix-caching: false
enforce-eager: true
no-enable-log-requests: true
hf-overrides: {rope_scaling: {factor: 2.0}}
speculative-config.method: ngram
allowed-origins: ["http://a"]
revision: 123
seed: null
"""


def test_a_config_file_is_below_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(YAML)
    found = read_given(read_command_line(["--config", str(file), "--port", "1"], SERVE), SERVE, {})
    assert found.models == ("org/name",)
    assert found.values == {
        "port": 1,
        "host": "0.0.0.0",
        "max-model-len": 32_000,
        "max-num-seqs": 7,
        "served-model-name": ["a", "b"],
        "api-key": ["K"],
        "enable-prefix-caching": False,
        "enforce-eager": True,
        "enable-log-requests": False,
        "hf-overrides": {"rope_scaling": {"factor": 2.0}},
        "speculative-config": {"method": "ngram"},
        "allowed-origins": ["http://a"],
        "revision": "123",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot: 1", ["no flag --prot", "--port"]),
        ("port: [1, 2]", ["port: [1, 2] is not one value"]),
        ("port: many", ["port", "'many'"]),
        ("- a\n- b", ["names of flags"]),
        ("a: [", ["not valid YAML"]),
        ("config: other.yaml", ["no flag --config"]),
    ],
)
def test_a_config_file_that_is_wrong(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises((UsageError, WrongUsageError)) as caught:
        models(config=file)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in (*words, "c.yaml")), caught.value
    with pytest.raises(UsageError, match="cannot be read"):
        models(config=tmp_path / "none.yaml")


@pytest.mark.parametrize("flag", SERVE.flags(), ids=lambda flag: flag.name)
def test_every_flag_is_whole(flag: Flag) -> None:
    rooms: dict[str, tuple[str, ...]] = {
        "engine": EngineConfig.__struct_fields__,
        "server": tuple(ServerSettings.__dataclass_fields__),
        "service": tuple(ServiceOptions.__dataclass_fields__),
    }
    if flag.target:
        room, _, field = flag.target.partition(".")
        assert field in rooms[room]
        assert flag.effect in (Effect.WORKS, Effect.OLD)
    assert flag.help.endswith(".") == (flag.effect in (Effect.WORKS, Effect.OLD)), (
        "works: a sentence; else why"
    )
    assert flag.name == flag.name.lower().replace("_", "-")
    assert flag.inverted <= (flag.kind is Kind.SWITCH)
    assert bool(flag.instead) <= (flag.effect in (Effect.OLD, Effect.OLD_NONE))
    assert flag.name in help_text(SERVE, flag.name, "")


def example(flag: Flag) -> list[str]:
    """A valid value of the flag that is not silent."""
    if flag.choices:
        return [next(choice for choice in flag.choices if choice not in flag.silent)]
    number = str(int(max(flag.least or 0, 3))) if (flag.most or 9) >= 3 else str(flag.most)
    return {
        Kind.SWITCH: [],
        Kind.JSON: ['{"a": 1}'],
        Kind.TEXT: ["word"],
        Kind.WORDS: ["a=b"],
        Kind.LIST: ["a", "b"],
    }.get(flag.kind, [number])


@pytest.mark.parametrize("flag", SERVE.flags(), ids=lambda flag: flag.name)
def test_every_flag_can_be_given_in_every_spelling(flag: Flag) -> None:
    if flag.name in ("config", "model", "scheduling-policy"):  # the last has no value that tells of itself
        return
    words = example(flag)
    if flag.kind is Kind.SWITCH and True in flag.silent:
        words = ["false"]
    given_values = read(f"--{flag.name}", *words)
    assert set(given_values) == {flag.name}
    assert read(f"--{flag.name.replace('-', '_')}", *words) == given_values
    if words:
        assert (
            read(f"--{flag.name}={words[0]}", *([] if len(words) == 1 else [f"--{flag.name}", words[1]]))
            == given_values
        )
    for short in flag.short:
        assert read(short, *words) == given_values
    if flag.effect is Effect.REFUSED:
        with pytest.raises(WrongUsageError, match="is not supported"):
            notices(given_values, {}, SERVE)
        return
    lines = notices(given_values, {}, SERVE)
    assert len(lines) == (flag.effect is not Effect.WORKS)
    if lines:
        assert f"--{flag.name}" in lines[0]
        assert "\n" not in lines[0]


def test_flags_with_one_reason_share_a_line_and_defaults_need_none() -> None:
    values = {"worker-cls": "x", "numa-bind": True, "tensor-parallel-size": 1}
    [line] = notices(values, {}, SERVE)
    assert line.startswith("--worker-cls, --numa-bind have no effect here: ")
    assert notices({"enforce-eager": False, "scheduling-policy": "priority"}, {}, SERVE) == []
    assert notices({"enforce-eager": True}, {"enforce-eager": "--enforce_eager"}, SERVE)[0].startswith(
        "--enforce_eager has"
    )


def test_help_of_everything_of_groups_and_of_one() -> None:
    short, everything = help_text(SERVE, "", "usage"), help_text(SERVE, "all", "usage")
    assert "--max-model-len TOKENS" in short
    assert "--cpu-offload-gb" not in short
    for flag in SERVE.flags():
        assert f"--{flag.name}" in everything
    assert max(map(len, everything.splitlines())) <= 120
    groups = help_text(SERVE, "listgroup", "").splitlines()
    assert len(groups) == len(SERVE.groups)
    for line in groups:
        title = line.split("  ")[0]
        assert help_text(SERVE, title, "").startswith(f"{title}: ")
    assert help_text(SERVE, "ParallelConfig", "").startswith("Parallel: ")
    one = help_text(SERVE, "max-model-len", "")
    assert one.startswith("--max-model-len TOKENS\n")
    assert "Default: auto" in one
    assert help_text(SERVE, "--max_model_len", "") == one
    assert help_text(SERVE, "tp", "").startswith("-tp, --tensor-parallel-size N")
    assert "--no-enable-prefix-caching" in help_text(SERVE, "enable-prefix-caching", "")
    assert "--max-num-seqs" in help_text(SERVE, "max-num", ""), "a part of a name finds all that have it"
    with pytest.raises(WrongUsageError, match="--max-model-len"):
        help_text(SERVE, "max-modle-len", "")


WORDS = st.one_of(
    st.sampled_from([f"--{flag.name}" for flag in SERVE.flags()]),
    st.sampled_from(
        ["-tp", "-O", "-O3", "-sc.a", "--", "-", "--no-", "--.", "--a.b=c", "-O.", "--hf-overrides."]
    ),
    st.text(alphabet="ab-_=.{}[]\"'1 \n", max_size=6),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=6))
def test_any_words_are_read_or_refused_with_one_line(words: list[str]) -> None:
    words = [word for word in words if not word.startswith("--config")]
    line = ""
    try:
        found = read_given(read_command_line(words, SERVE), SERVE, {})
        notices(found.values, {}, SERVE)
    except WrongUsageError as error:
        line = str(error) or "nothing said"
    assert line != "nothing said"
