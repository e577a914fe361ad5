"""instructor in its modes, whole and partial."""

from __future__ import annotations

from typing import Literal

import instructor
import pytest
from openai import OpenAI
from pydantic import BaseModel

from conftest import Endpoint

QUESTION = [{"role": "user", "content": "Ada is 36"}]


class Person(BaseModel):
    name: str
    age: int


class Short(BaseModel):
    """What a small model cannot fail to finish."""

    colour: Literal["red", "green", "blue"]
    warm: bool


def client_of(server: Endpoint, mode: instructor.Mode) -> instructor.Instructor:
    return instructor.from_openai(OpenAI(base_url=server.v1, api_key="EMPTY", max_retries=0), mode=mode)


MODES = pytest.mark.parametrize(
    "mode", [instructor.Mode.TOOLS, instructor.Mode.JSON, instructor.Mode.JSON_SCHEMA]
)


@MODES
def test_an_object(scripted: Endpoint, mode: instructor.Mode) -> None:
    client = client_of(scripted, mode)
    person = client.chat.completions.create(
        model=scripted.model, response_model=Person, messages=QUESTION, max_retries=0
    )
    assert person.model_dump() == {"name": "Ada", "age": 36}


@MODES
def test_a_partial_object_grows(scripted: Endpoint, mode: instructor.Mode) -> None:
    client = client_of(scripted, mode)
    seen = list(
        client.chat.completions.create_partial(
            model=scripted.model, response_model=Person, messages=QUESTION, max_retries=0
        )
    )
    assert seen[-1].name == "Ada"
    assert seen[-1].age == 36
    assert len(seen) > 2
    assert seen[0].name is None


def test_a_real_model_fills_the_schema(chat: Endpoint) -> None:
    client = client_of(chat, instructor.Mode.JSON_SCHEMA)
    short = client.chat.completions.create(
        model=chat.model,
        response_model=Short,
        messages=QUESTION,
        max_retries=0,
        temperature=0,
        max_tokens=200,
    )
    assert isinstance(short, Short)
