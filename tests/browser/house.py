"""A server with a workspace and a scripted model, and what a person does in its page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.browser.pages import Watched
from tests.helpers.scripted import Reply, scripted_model, scripted_server

PAGE = ""  #: below the server's address
PASSWORD = "correct horse battery"
ADMIN = {"name": "Ada", "email": "ada@example.org", "password": PASSWORD}

LONG = " ".join(f"word{number}" for number in range(1, 121))
RICH = """## A table and some code

Light scatters **more** when its wavelength is short:

| colour | wavelength | scatter |
| --- | ---: | ---: |
| blue | 450 nm | 4.4 |
| red | 700 nm | 1.0 |

```python
def scatter(wavelength: float) -> float:
    return (700 / wavelength) ** 4
```

1. Short waves scatter.
2. We look up and see *blue*.
"""
FORMULAS = r"""The roots of \(ax^2 + bx + c = 0\) are

$$
x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}
$$

so $x_1 + x_2 = -\frac{b}{a}$; it costs $5 and $6, and `$HOME` stays. Wrong: $\frac{1$.

```mermaid
flowchart LR
  A[Read] --> B{Even?}
  B -->|yes| C[Halve]
  B -->|no| D[Triple]
```

```mermaid
flowchart LR
  A --> --> nonsense
```

| very long name of a column | another one that is long | and one more column | the last |
| --- | --- | --- | --- |
| $\alpha$ | `a_long_identifier_that_does_not_break_anywhere` | **中文。**强调 | 5~6 |

- [x] done
- [ ] open
  1. nested
     - deeper

مرحبا بالعالم
"""
FOREIGN = """![a picture](https://example.org/x.png) and
text <img src="https://example.org/y.png" onerror="alert(1)">

<script>document.title = 'taken'</script>

[a link](javascript:alert(1)) [another](https://example.org/page)
"""
REPLIES = [
    Reply(when="elsewhere", text=FOREIGN),
    Reply(when="breaks off", text=LONG, fault="raise", after=12),
    Reply(when="formulas", text=FORMULAS, step_ms=5),
    Reply(when="long", text=LONG, step_ms=10),
    Reply(when="endless", text="again ", repeat=True, step_ms=30),
    Reply(when="sky", text=RICH),
    Reply(when="think", text="<think>\nLet me count: 2 and 2.\n</think>\n\nIt is four.", step_ms=10),
    Reply(when="</think>\n\n", text="Why is it red in the evening?"),  # what a model makes unasked
    Reply(when="你好", text="你好！有什么可以帮你？", step_ms=5),
]


@contextmanager
def workspace_server(folder: Path, *arguments: str) -> Iterator[str]:
    """Serves; gives the address of the workspace's page. arguments: more flags."""
    model = scripted_model(folder / "model", REPLIES, default="Hello! How can I help you?")
    flags = ("--reasoning-parser", "qwen3", *arguments)
    with scripted_server(model, folder, *flags, workspace=True) as server:
        yield f"{server.base_url}/{PAGE}"


def set_up(url: str) -> None:
    """Makes the administrator over HTTP; a house that has one already stays as it is."""
    base = url.removesuffix(PAGE)
    if httpx.get(f"{base}api/config").json()["setup_required"]:
        httpx.post(f"{base}api/setup", json=ADMIN).raise_for_status()


def sign_in(watched: Watched) -> None:
    page = watched.page
    page.locator("#email").fill(ADMIN["email"])
    page.locator("#password").fill(PASSWORD)
    page.locator("#password").press("Enter")
    page.locator("#composer").wait_for()


def ask(page: Any, text: str) -> None:
    page.locator("#composer").fill(text)
    page.locator("#composer").press("Enter")


def answers(page: Any) -> Any:
    return page.locator("article.answer")


def wait_for_answer(page: Any, status: str = "done") -> Any:
    """The last answer once it has come to this."""
    page.wait_for_function(
        "status => [...document.querySelectorAll('article.answer')].at(-1)?.dataset.status === status",
        arg=status,
    )
    return answers(page).last


def wait_for_words(page: Any, more_than: int) -> None:
    """Until the last answer shows more than so many characters."""
    page.wait_for_function(
        """least => {
          const last = [...document.querySelectorAll('article.answer')].at(-1);
          return (last?.querySelector('.prose')?.textContent.length ?? 0) > least;
        }""",
        arg=more_than,
    )
