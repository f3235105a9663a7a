from __future__ import annotations

import re
from pathlib import Path

import pytest

from reports import leaderboard
from reports.screenshots import PATIENCE_MS
from tests.browser import simulated
from tests.browser.conftest import Opener, ready

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install -e '.[dev]'")
from playwright.sync_api import Page, expect

expect.set_options(timeout=PATIENCE_MS)

pytestmark = pytest.mark.slow  # tests/browser/test_pages.py has the quick ones

VIEWS = ("overview", "table", "charts", "images", "failures", "about")


def column(page: Page, place: int) -> list[str]:
    """First lines of a column of the first table."""
    cells = page.locator("table").first.locator(f"tbody tr > :nth-child({place + 1})").all()
    return [cell.inner_text().split("\n")[0] for cell in cells]


def numbers(texts: list[str]) -> list[float]:
    return [float(re.sub("[^0-9.−]", "", text).replace("−", "-")) for text in texts]


def loaded(page: Page, selector: str) -> int:
    """How many pictures there are; fails when one of them is broken."""
    page.wait_for_function("selector => [...document.querySelectorAll(selector)].every(i => i.complete)", arg=selector)
    widths = page.eval_on_selector_all(selector, "images => images.map(image => image.naturalWidth)")
    assert widths and min(widths) > 0
    return len(widths)


def charted(page: Page) -> None:
    """Look at every chart: they are drawn when they come into view."""
    page.wait_for_selector(".plot")
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
        plot.locator(".main-svg").first.wait_for()


def test_the_overview_is_one_screen_and_says_what_the_intervals_bear(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary)
    assert page.locator(".ranking li").count() == 4
    assert loaded(page, ".samples img") == 3 * 4  # targets and the three best methods
    assert page.locator(".front g").count() == 4
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    expect(page.locator(".summary").first).to_be_hidden()
    page.locator(".verdicts > summary").click()
    first = page.locator(".summary").first.inner_text()
    assert "twin has the lowest mean Error A" in first.replace("\n", " ")
    assert "Compared on the 59 of 60 images" in first
    assert page.locator(".summary").count() == 4
    assert page.locator(".strip").first.locator("path").count() == 4


def test_the_table_sorts_by_mouse_and_keyboard(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary, "table")
    head = page.locator("thead th", has_text="Error A").first
    about = head.locator("button").get_attribute("title")
    assert about == "standard; lower is better. simulated. Someone", "the recipe and where it comes from"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    found = numbers(column(page, 1))
    assert len(found) == 4 and found == sorted(found)
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert numbers(column(page, 1)) == found[::-1]
    page.locator("thead th", has_text="Method").first.locator("button").click()
    assert column(page, 0) == ["fine", "plain", "slow", "twin"]
    page.reload()
    ready(page, "table")
    assert column(page, 0) == ["fine", "plain", "slow", "twin"]  # the order is part of the address


def test_the_table_filters_and_compares(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary, "table")
    assert page.locator("table").first.locator("td.best").count() >= 3
    expect(page.locator(".notes")).to_contain_text("†")
    page.get_by_label("Methods").fill("STAGE 2022")
    assert column(page, 0) == ["slow"]
    page.get_by_label("Methods").fill("nobody")
    expect(page.get_by_text("No method matches")).to_be_visible()
    page.get_by_label("Methods").fill("")
    page.get_by_label("Protocol").select_option("second")
    expect(page.locator("table").first.locator("thead").get_by_role("columnheader", name="Error A")).to_have_count(0)
    page.get_by_label("Protocol").select_option("all")
    expect(page.locator("table").first.locator("thead tr:last-child th")).to_have_count(5)
    page.get_by_label("Protocol").select_option("standard")
    page.get_by_label("Show").select_option(label="difference to slow")
    expect(page.locator("td.better").first).to_be_visible()
    rows = dict(zip(column(page, 0), column(page, 1), strict=True))
    assert set(rows) == {"plain", "fine", "twin"} and rows["twin"].startswith("−") and rows["plain"].startswith("+")


def test_columns_are_picked_and_the_table_is_taken_along(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary, "table")
    page.get_by_text("Columns: 3 of 3").click()
    page.get_by_label("Gain B (dB)").uncheck()
    heads = page.locator("table").first.locator("thead tr:last-child th .head")
    assert heads.all_inner_texts() == ["Method", "Error A\xa0↓", "Error C\xa0↓"]
    page.reload()
    ready(page, "table")
    assert heads.count() == 3  # the choice is part of the address
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save CSV").click()
    lines = Path(saved.value.path()).read_text(encoding="utf-8").splitlines()
    assert (
        lines[0] == "Method,Error A ↓,Error C ↓" and len(lines) == 5 and saved.value.suggested_filename.endswith(".csv")
    )
    for name, has in (("LaTeX", r"\\textbf{0\."), ("markdown", r"\*\*0\.")):
        page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        page.get_by_role("button", name=f"Copy as {name}").click()
        expect(page.locator(".exports [role=status]")).to_have_text(f"Copied as {name}.")
        assert re.search(has, page.evaluate("window.copied")), page.evaluate("window.copied")
    page.get_by_role("button", name="None", exact=True).click()
    expect(page.get_by_text("No column is chosen.")).to_be_visible()


def test_legends_cover_no_axis(ordinary: Path, opener: Opener) -> None:
    for width in (1280, 390):
        page = opener(ordinary, "charts", width)
        charted(page)
        for plot in page.locator(".plot").all()[:2]:
            legend = plot.locator(".legend").bounding_box()
            assert legend
            for part in (".xaxislayer-above", ".yaxislayer-above", ".xtitle", ".ytitle"):
                box = plot.locator(part).first.bounding_box()
                assert box and (
                    box["y"] >= legend["y"] + legend["height"] - 1 or box["y"] + box["height"] <= legend["y"]
                ), part


def test_a_set_of_few_methods_leaves_the_others_out(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary, "table")
    page.locator("#set").select_option(label="Set masked")
    expect(page.locator("h2").first).to_have_text("Set masked")
    assert column(page, 0) == ["plain", "fine"]
    expect(page.locator(".notes")).to_contain_text("Not part of the suite on this data set: slow, twin")


def test_charts_are_drawn_and_their_points_lead_to_images(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary, "charts")
    charted(page)
    assert page.locator(".plot").count() == 3
    assert page.locator(".plot").nth(0).locator(".scatterlayer .points path.point").count() == 4
    point = page.locator(".plot").nth(1).locator(".scatterlayer .points path.point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector(".hoverlayer .hovertext")
    page.mouse.down()
    page.mouse.up()
    expect(page.locator("#viewer h2")).to_have_text(re.compile("^im0"))
    loaded(page, "#viewer img")
    page.keyboard.press("Escape")
    page.locator("#theme").click()  # drawn again in other colours, without a word on the console
    page.get_by_label("Points").select_option("means")
    charted(page)
    assert page.locator(".plot").nth(1).locator(".scatterlayer .points path.point").count() == 4


def test_the_image_browser_ranks_filters_and_turns_pages(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary, "images")
    assert page.locator(".sheet tbody tr").count() == 20
    loaded(page, ".sheet tr:nth-child(-n+3) img")
    page.get_by_label("Next page").click()
    expect(page.locator(".sheet tbody tr").first).to_contain_text("im020")
    page.get_by_label("Order").select_option("worst")
    page.get_by_label("of", exact=True).select_option(label="twin")
    expect(page.get_by_role("status")).to_contain_text("59 images; 1 without a value")
    shown = numbers([t.inner_text() for t in page.locator(".sheet tbody tr > :nth-child(5) .note").all()])
    assert len(shown) == 20 and shown == sorted(shown, reverse=True)
    page.get_by_label("Image name").fill("im03")
    assert page.locator(".sheet tbody tr").count() == 10
    page.get_by_text("Methods: 4 of 4").click()
    page.locator(".checks label", has_text="slow").locator("input").uncheck()
    expect(page.locator(".sheet thead th")).to_have_count(4)


def test_large_pictures_have_thumbnails(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary, "images?set=masked")
    assert loaded(page, ".sheet img") == 8 * 3
    assert "/thumbs/" in (page.locator(".sheet img").first.get_attribute("src") or "")
    page.locator(".sheet .tile").first.click()
    expect(page.locator("#viewer")).to_contain_text("mask")
    assert "/images/" in (page.locator(".stage img").first.get_attribute("src") or "")
    loaded(page, "#viewer img")


def test_the_slider_moves_by_mouse_and_keyboard(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary, "images")
    page.get_by_role("button", name="im000, plain").click()
    stage, slider = page.locator(".stage"), page.get_by_role("slider")
    clip = "getComputedStyle(document.querySelector('.stage .before')).clipPath"
    assert "50%" in page.evaluate(clip)
    box = stage.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 40, steps=4)
    page.mouse.up()
    assert abs(float(slider.input_value()) - 25) <= 2
    moved = page.evaluate(clip)
    slider.press("ArrowLeft")
    assert page.evaluate(clip) != moved and abs(float(slider.input_value()) - 24) <= 2
    expect(page.locator("#viewer h2")).to_have_text("im000")  # the arrow moved the line, not the page
    page.get_by_label("Right").select_option(label="slow")
    assert "slow" in (page.locator(".stage img").first.get_attribute("src") or "")
    assert page.locator(".strips .note").all_inner_texts() == ["age-1", "age+1", "age+2"]
    loaded(page, "#viewer img")
    page.get_by_label("Close").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer h2")).to_have_text("im001")
    assert "image=im001" in page.url
    page.reload()
    expect(page.locator("#viewer h2")).to_have_text("im001")  # an open image has an address
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()


def test_failures_tell_their_reason_and_lead_to_the_image(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary, "failures")
    row = page.locator("tbody tr", has_text="diverged: loss is nan").first  # the protocols have a row each
    expect(row).to_contain_text("1 of 60")
    row.locator("summary").click()
    row.get_by_role("button", name="im007").click()
    expect(page.locator("#viewer .notes")).to_contain_text("twin: failed: diverged: loss is nan")
    assert page.locator("#viewer .side-by-side li").count() == 4  # target and three methods


def test_the_theme_is_chosen_and_kept(ordinary: Path, opener: Opener) -> None:
    page = opener(ordinary)
    for expected in ("light", "dark"):
        page.locator("#theme").click()
        assert page.evaluate("document.documentElement.dataset.theme") == expected
    page.reload()
    ready(page, "overview")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_hostile_names_stay_text(hostile: Path, opener: Opener) -> None:
    """No dialog and no console error (the opener looks), nothing injected, and every name readable as it is."""
    page = opener(hostile)
    expect(page).to_have_title("</title><script>alert(8)</script>")
    for view in VIEWS:
        page.locator("nav a", has_text=view.capitalize()).click()
        ready(page, view)
        if view == "charts":
            charted(page)
            legend = page.locator(".plot").nth(0).locator(".legendtext").all_text_contents()
            assert legend == list(simulated.HOSTILE_METHODS)
            assert page.locator(".plot a").count() == 0
        assert page.locator("main script, main b, main u, main [onerror], main [onload], main [onclick]").count() == 0
        assert page.locator("main img:not([loading=lazy])").count() == 0
        scripts = page.eval_on_selector_all("script", "found => found.map(each => each.getAttribute('src') ?? '')")
        assert scripts and all(source.startswith("dashboard/") for source in scripts)
    page.evaluate("location.hash = 'table'")
    ready(page, "table")
    assert column(page, 0) == list(simulated.HOSTILE_METHODS)
    page.evaluate("location.hash = 'failures'")
    ready(page, "failures")
    expect(page.locator("td.reason").first).to_contain_text(simulated.HOSTILE_REASON.strip())


def test_the_page_to_send_is_one_small_file(ordinary: Path, hostile: Path, opener: Opener, tmp_path: Path) -> None:
    for directory, methods in ((ordinary, 4), (hostile, len(simulated.HOSTILE_METHODS))):
        alone = tmp_path / directory.parent.name / "report" / "index.html"
        alone.parent.mkdir(parents=True)
        alone.write_bytes((directory / "report" / "share.html").read_bytes())  # nothing else lies beside it
        assert alone.stat().st_size < 5_000_000
        page = opener(alone.parents[1])
        assert loaded(page, ".samples img") >= 3
        for view in ("table", "images", "failures", "about"):
            page.locator("nav a", has_text=view.capitalize()).click()
            ready(page, view)
            if view == "table":
                assert page.locator("table").first.locator("tbody tr").count() == methods
            if view == "images":
                assert loaded(page, ".sheet tr:nth-child(1) img") >= 4
                page.locator(".sheet tbody .tile").first.click()
                assert loaded(page, "#viewer img") >= 4
                page.keyboard.press("Escape")
        expect(page.locator("pre.cite")).to_contain_text("@misc{inversionbench")
        assert page.locator("nav a", has_text="Charts").count() == 0


def test_a_leaderboard_is_a_page_of_tables(ordinary: Path, hostile: Path, opener: Opener, tmp_path: Path) -> None:
    leaderboard.build([ordinary, hostile], tmp_path / "report")
    page = opener(tmp_path, "table")
    assert page.locator("#set option").count() == 3  # two sets of one run, one of the other
    assert page.locator("table").first.locator("tbody tr").count() == 4
    page.locator("thead th", has_text="Error A").first.locator("button").click()
    found = numbers(column(page, 1))
    assert found == sorted(found)
    page.locator("nav a", has_text="About").click()
    ready(page, "about")
    assert page.locator("main script, main b, main [onerror]").count() == 0
