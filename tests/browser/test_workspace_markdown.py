"""What an answer shows beyond words: formulas, diagrams, wide tables, other scripts."""

from __future__ import annotations

import pytest
from tests.browser.house import ask, wait_for_answer
from tests.browser.pages import OpenPage

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect

SELECT_ALL = """element => {
  getSelection().selectAllChildren(element);
  document.execCommand('copy');
  return navigator.clipboard.readText();
}"""


def test_formulas_and_diagrams_are_drawn_when_they_come(at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page

    def asked_for(name: str) -> bool:
        return any(f"/{name}" in url for url in watched.requests)

    ask(page, "Why is the sky blue?")
    wait_for_answer(page)
    assert not asked_for("assets/katex"), "KaTeX was fetched without a formula"
    assert not asked_for("diagram.html"), "Mermaid was fetched without a diagram"

    ask(page, "Some formulas, please.")
    answer = wait_for_answer(page)
    expect(answer.locator(".math.typeset")).to_have_count(4)
    expect(answer.locator(".math.faulty")).to_have_text(r"$\frac{1$")
    expect(answer).to_contain_text("it costs $5 and $6")
    # The boxes of a formula have their places although the page's policy allows no style attribute.
    styled = "element => element.getBoundingClientRect().height"
    assert answer.locator(".katex-display .katex-base").last.evaluate(styled) > 30
    copied = answer.locator(".prose").evaluate(SELECT_ALL)
    assert r"The roots of $ax^2 + bx + c = 0$ are" in copied
    assert copied.count("b^2") == 1

    picture = answer.locator(".diagram img")
    expect(picture).to_have_count(1)
    drawn = picture.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])")
    assert min(drawn) > 50
    expect(answer.locator(".problem")).to_contain_text("Parse error on line 2")
    answer.get_by_role("button", name="Show the source").click()
    expect(answer.locator(".diagram pre").first).to_contain_text("A[Read]")
    answer.get_by_role("button", name="Show the diagram").click()
    watched.screenshot("workspace-formulas-light-en")

    light = picture.get_attribute("src")
    page.emulate_media(color_scheme="dark")
    expect(picture).not_to_have_attribute("src", light or "")
    watched.screenshot("workspace-formulas-dark-en")


def test_the_frame_of_the_diagrams_is_shut_in(at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page
    ask(page, "Some formulas, please.")
    expect(wait_for_answer(page).locator(".diagram img")).to_be_visible()
    [frame] = [frame for frame in page.frames if frame.url.endswith("/diagram.html")]
    assert frame.evaluate("origin") == "null"
    reached = frame.evaluate("try { parent.document; true } catch { false }")
    assert not reached


def test_wide_and_foreign_things_stay_in_their_place(at_home: OpenPage) -> None:
    page = at_home(width=375, height=740, locale="zh-CN").page
    ask(page, "Some formulas, please.")
    answer = wait_for_answer(page)
    expect(answer.locator(".diagram img")).to_be_visible()
    table = answer.locator(".table-scroll")
    assert table.evaluate("element => element.scrollWidth > element.clientWidth")
    assert answer.evaluate("element => element.scrollWidth <= element.clientWidth")
    expect(answer.locator("td strong")).to_have_text("中文。")
    expect(answer.locator("td del")).to_have_count(0)
    arabic = answer.locator("p", has_text="مرحبا")
    assert arabic.evaluate("element => getComputedStyle(element).direction") == "rtl"
