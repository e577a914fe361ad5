"""What the workspace can show: each state with what a person does to see it, in either language."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.browser.house import PASSWORD

WEB = Path(__file__).parents[2] / "web" / "src"
SECTIONS = (
    "users", "groups", "settings", "connections", "models", "hub", "functions", "live", "log", "usage",
    "audit", "backup",
)  # fmt: skip
#: What is there once a section or a leaf has been read from the server.
LOADED = {
    "users": "table", "settings": ".fields, fieldset, input", "models": "[data-testid=model]",
    "hub": "[data-testid=hub-model]", "live": "dl.sums dd", "log": "[role=log]", "usage": "dl.sums dd",
    "audit": "table", "sessions": "li",
}  # fmt: skip
LEAVES = ("general", "profile", "chats", "sessions", "functions", "keys", "connections")


@cache
def sentences(language: str) -> dict[str, str]:
    """The page's sentences by their keys: "en" or "zh"."""
    return _read(WEB / f"lib/i18n/{language}.ts", *(WEB / "lib/i18n/parts").glob(f"*.{language}.ts"))


@cache
def sentences_of_administration(language: str) -> dict[str, str]:
    folder = WEB / "workspace/admin/i18n"
    return _read(folder / f"{language}.ts", *folder.glob(f"*.{language}.ts"))


def _read(*files: Path) -> dict[str, str]:
    texts = [file.read_text("utf-8") for file in files]
    found = re.findall(r"^\s*'([\w.]+)':\s*'((?:[^'\\]|\\.)*)',", "\n".join(texts), re.MULTILINE)
    return {key: text.replace("\\'", "'") for key, text in found}


@dataclass(frozen=True)
class Seen:
    """A page, and what its controls are called in its language."""

    page: Any
    language: str

    def say(self, key: str) -> str:
        return sentences(self.language)[key]

    def press(self, key: str) -> None:
        self.page.get_by_role("button", name=self.say(key), exact=True).first.click()

    def administer(self, section: str, key: str, **values: str) -> None:
        """A button of a section of the administration."""
        self.go(f"admin={section}")
        name = sentences_of_administration(self.language)[key].format(**values)
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def choose(self, menu: str, item: str) -> None:
        """An entry of a menu, where it is there; its dialog is then open."""
        self.press(menu)
        self.page.get_by_role("menuitem", name=self.say(item), exact=True).locator("visible=true").click()

    def dialog(self) -> None:
        self.page.locator("dialog[open] :is(button, input)").first.wait_for()

    def go(self, query: str) -> None:
        self.page.goto(f"{self.page.url.split('?')[0]}?{query}")


Show = Callable[[Seen], None]


def _account(leaf: str) -> Show:
    def show(seen: Seen) -> None:
        seen.choose("account.open", "account.title")
        seen.dialog()
        seen.page.locator(f"#leaf-{leaf}").click()
        seen.page.locator(f"#leaf :is({LOADED.get(leaf, '*')})").first.wait_for()

    return show


def _menu(menu: str, item: str) -> Show:
    def show(seen: Seen) -> None:
        seen.choose(menu, item)
        seen.dialog()

    return show


def _section(section: str) -> Show:
    def show(seen: Seen) -> None:
        seen.go(f"admin={section}")
        seen.page.locator("main h1").wait_for()
        seen.page.locator(f"main :is({LOADED.get(section, 'h1')})").first.wait_for()

    return show


def _form(section: str, key: str, **values: str) -> Show:
    def show(seen: Seen) -> None:
        seen.administer(section, key, **values)
        seen.dialog()

    return show


def _function(seen: Seen) -> None:
    seen.administer("functions", "functions.create")
    seen.page.locator("main .cm-content, main textarea").first.wait_for()


def _new_preset(seen: Seen) -> None:
    _menu("account.open", "account.presets")(seen)
    name = sentences_of_administration(seen.language)["presets.create"]
    seen.page.get_by_role("button", name=name, exact=True).click()
    seen.page.locator("dialog dialog, dialog[open]").nth(1).locator("input").first.wait_for()


def _import(seen: Seen) -> None:
    _account("chats")(seen)
    seen.press("history.data.import.do")
    seen.page.get_by_text(seen.say("history.import.text")).wait_for()


def _shared(seen: Seen) -> None:
    base, chat = seen.page.url.split("?chat=")
    address = f"{base}api/chats/{chat}/share"
    share = seen.page.request.post(address, headers={"Origin": base.rstrip("/")}).json()["share_id"]
    seen.go(f"shared={share}")
    seen.page.locator(".math.typeset").first.wait_for()


def _temporary(seen: Seen) -> None:
    seen.go("")
    seen.press("temporary.toggle")
    seen.page.get_by_role("heading", name=seen.say("temporary.greeting")).wait_for()


def _sign_up(seen: Seen) -> None:
    seen.press("entry.signUp.link")
    seen.page.locator("#name").wait_for()


def _pending(seen: Seen) -> None:
    _sign_up(seen)
    seen.page.locator("#name").fill("Grace")
    seen.page.locator("#email").fill(f"{secrets.token_hex(8)}@example.org")
    seen.page.locator("#password").fill(PASSWORD)
    seen.page.keyboard.press("Enter")
    title = seen.say("entry.pending").format(name="Grace")
    seen.page.get_by_role("heading", name=title).wait_for()


def _models(seen: Seen) -> None:
    seen.page.get_by_test_id("models").click()


def _shortcuts(seen: Seen) -> None:
    seen.page.keyboard.press("Control+/")
    seen.dialog()


def _search(seen: Seen) -> None:
    seen.press("history.search")
    seen.dialog()
    seen.page.keyboard.type("formulas")
    seen.page.locator("dialog mark").first.wait_for()


def _panel(seen: Seen) -> None:
    seen.press("panel.open")
    seen.page.locator("#parameters").wait_for()


def _chat_menu(seen: Seen) -> None:
    seen.press("history.options")
    seen.page.get_by_role("menuitem").locator("visible=true").first.wait_for()


def _gone(seen: Seen) -> None:
    seen.go("chat=nothing")
    seen.page.get_by_text(seen.say("chats.gone")).first.wait_for()


def _editing(seen: Seen) -> None:
    seen.page.locator("article.question").first.hover()
    seen.press("message.edit")


#: Before anybody is signed in, in a house that has an administrator: in this order.
WAYS_IN: dict[str, Show] = {
    "sign-in": lambda seen: None,
    "sign-up": _sign_up,
    "pending": _pending,
}

#: With an open chat that holds a rich answer. They come in any order: each begins anew.
STATES: dict[str, Show] = {
    "chat": lambda seen: None,
    "editing": _editing,
    "panel": _panel,
    "models": _models,
    "chat-menu": _chat_menu,
    "search": _search,
    "shortcuts": _shortcuts,
    "gone": _gone,
    **{f"account-{leaf}": _account(leaf) for leaf in LEAVES},
    "prompts": _menu("account.open", "prompts.title"),
    "presets": _menu("account.open", "account.presets"),
    "move": _menu("history.options", "history.move"),
    "tags": _menu("history.options", "history.tags"),
    "share": _menu("history.options", "history.share"),
    "export": _menu("history.options", "history.export"),
    "delete": _menu("history.options", "chats.delete"),
    "preset-form": _new_preset,
    "import": _import,
    "shared": _shared,
    "temporary": _temporary,
    **{f"admin-{section}": _section(section) for section in SECTIONS},
    "user-form": _form("users", "users.create"),
    "invitation-form": _form("users", "invitations.create"),
    "group-form": _form("groups", "groups.create"),
    "connection-form": _form("connections", "connections.create"),
    "model-form": _form("models", "models.edit", name="scripted"),
    "function-form": _function,
}
