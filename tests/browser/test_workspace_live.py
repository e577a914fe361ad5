"""What the server does now, and its log, as an administrator looks at them."""

from __future__ import annotations

from tests.browser.house import ask, wait_for_words
from tests.browser.pages import OpenPage


def test_figures_of_a_running_answer_and_the_log(at_home: OpenPage, house_url: str) -> None:
    watched = at_home()
    page = watched.page
    ask(page, "endless")
    wait_for_words(page, 20)
    page.goto(f"{house_url}?admin=live")
    page.locator("dl.sums dd").first.wait_for()
    page.get_by_role("row", name="Ada 1").wait_for()  # one answer on the way, for her
    page.wait_for_function(
        "() => parseFloat(document.querySelector('dl.sums dd')?.textContent) > 0"
    )  # tokens out
    assert page.locator("figure svg path.line").count() == 7
    page.get_by_role("button", name="Pause").click()
    frozen = page.locator("dl.sums").inner_text()
    page.get_by_text("The charts as a table").click()
    assert page.locator("details tbody tr").count() >= 1
    assert page.locator("dl.sums").inner_text() == frozen
    page.get_by_role("button", name="Go on").click()
    page.wait_for_function("before => document.querySelector('dl.sums').innerText !== before", arg=frozen)

    page.get_by_role("link", name="Log", exact=True).click()
    lines = page.get_by_role("log")
    lines.get_by_text("Pagoda is ready.").wait_for()
    page.get_by_role("searchbox").fill("no such words")
    lines.get_by_text("No line fits.").wait_for()
    page.get_by_role("searchbox").fill("ready pagoda")
    page.get_by_text("1 line", exact=True).wait_for()
    page.get_by_role("button", name="Copy what is shown").click()
    page.get_by_text("Copied.").wait_for()
    assert "Pagoda is ready." in page.evaluate("navigator.clipboard.readText()")
    page.get_by_label("From").select_option("ERROR")
    lines.get_by_text("No line fits.").wait_for()
