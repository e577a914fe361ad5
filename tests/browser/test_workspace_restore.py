"""A backup is made and brought back by its buttons, against a real server."""

from __future__ import annotations

from pathlib import Path

from tests.browser.house import ADMIN, ask, sign_in, wait_for_answer
from tests.browser.pages import OpenPage


def test_a_backup_comes_back_and_everybody_signs_in_again(
    at_home: OpenPage, house_url: str, tmp_path: Path
) -> None:
    watched = at_home(provoked=True)
    page = watched.page
    ask(page, "sky")
    wait_for_answer(page)
    page.goto(f"{house_url}?admin=backup")
    with page.expect_download() as download:
        page.get_by_role("button", name="Make a backup").click()
    archive = tmp_path / "backup.zip"
    download.value.save_as(archive)
    page.goto(house_url)
    ask(page, "later")
    wait_for_answer(page)

    page.goto(f"{house_url}?admin=backup")
    page.get_by_role("button", name="Choose a backup…").wait_for()
    broken = tmp_path / "broken.zip"
    broken.write_bytes(archive.read_bytes()[:500])
    page.locator("input[type=file]").set_input_files(broken)
    page.get_by_role("alert").get_by_text("not a whole archive").wait_for()
    page.locator("input[type=file]").set_input_files(archive)
    restore = page.get_by_role("region", name="Restore")
    restore.get_by_text(ADMIN["email"]).wait_for()
    assert "1" in restore.locator("dl div", has_text="Chats").inner_text()
    button = restore.get_by_role("button", name="Restore this backup")
    assert button.is_disabled()
    page.locator("#restore-password").fill("not my password")
    button.click()
    restore.get_by_text("The password is wrong.").wait_for()
    page.locator("#restore-password").fill(ADMIN["password"])
    button.click()
    page.get_by_text("The backup is back.").wait_for()
    page.goto(house_url)
    sign_in(watched)
    chats = page.get_by_role("navigation").first
    chats.get_by_text("sky").wait_for()
    assert chats.get_by_text("later").count() == 0
    ask(page, "sky again")  # and the house goes on
    wait_for_answer(page)
