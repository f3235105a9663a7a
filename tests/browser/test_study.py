"""A participant's way through a study, by keys and by clicks, to the file of answers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli import main
from tests.unit.test_study import run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["run"]  # a fixture


def test_answers_of_a_participant_are_read_back(browser: Browser, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    assert main(["study", str(run), "--methods", "plain,fine", "--limit", "3", "--out", str(out)]) == 0
    key = json.loads((out / "key.json").read_text())
    fine = {token for token, shown in key.items() if shown["method"] == "fine"}
    context = browser.new_context(offline=True, viewport={"width": 390, "height": 800})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto((out / "page" / "index.html").as_uri())
    page.fill("#who", "Ann, 1")
    page.click("text=Begin")

    def side(token: str) -> str:
        return page.locator(f"#{token} img").get_attribute("src").split("/")[-1].removesuffix(".png")  # type: ignore[union-attr]

    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Backspace")
    assert page.inner_text("#progress") == "1 of 3"
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth === 8)")
    assert page.evaluate("document.documentElement.scrollWidth <= 390")
    for trial in range(3):
        left = side("left") in fine
        if trial == 1:
            page.click("#left" if left else "#right")
        else:
            page.keyboard.press("ArrowLeft" if left else "ArrowRight")
    with page.expect_download() as download:
        page.click("#save")
    answers = tmp_path / download.value.suggested_filename
    download.value.save_as(answers)
    context.close()
    assert answers.name == "answers-Ann-1.csv" and not wrong
    with answers.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["participant"] for row in rows] == ["Ann, 1"] * 3 and {row["chosen"] for row in rows} == fine & {
        row["chosen"] for row in rows
    }
    assert main(["study", str(out), "--answers", str(answers)]) == 0
