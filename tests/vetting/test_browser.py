"""The page in a real Chromium: two vetters, keys alone, a reload and a kill in the middle.

Needs `chromium` and `chromedriver` (Debian: `apt-get install chromium chromium-driver`) and `pip install selenium`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Table
from ballots import make_stamps
from running import PATIENCE, Running

from realbogus.cli import main
from realbogus.stamps import StampSet
from realbogus.vetting.votes import read_votes, standing

pytest.importorskip("fastapi", reason='the page needs FastAPI: pip install "realbogus[vet]"')
pytest.importorskip("selenium", reason="the browser is driven by selenium: pip install selenium")

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

PAGE, COUNT = 40, 200
MARKUP = "<img src=x onerror=document.title='run'>"


@pytest.fixture
def chrome(require_program: Callable[..., str], tmp_path: Path) -> Iterator[Any]:
    """A browser without a window, of which the network is cut off but for this computer."""
    browser = require_program("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    driver = require_program("chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    flags = ["--headless=new", "--window-size=1360,900", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    flags += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-background-networking"]
    for flag in [*flags, f"--user-data-dir={tmp_path / 'chrome'}"] + (["--no-sandbox"] if os.geteuid() == 0 else []):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(driver)
    with webdriver.Chrome(options=options, service=service) as chrome:
        chrome.set_script_timeout(PATIENCE)
        yield chrome


class Vetter:
    """Somebody at a tab, who looks at the page and presses keys."""

    def __init__(self, chrome: Any, link: str, judge: Callable[[str], str], name: str = "") -> None:
        self.chrome, self.judge = chrome, judge
        chrome.switch_to.new_window("tab")
        chrome.get(link)
        self.tab = chrome.current_window_handle
        if name:
            self.until("document.getElementById('start').open")
            self.press(name, Keys.ENTER)
        self.wait()

    def look(self, script: str) -> Any:
        return self.chrome.execute_script(f"return {script}")

    def until(self, script: str) -> Any:
        return WebDriverWait(self.chrome, PATIENCE, 0.05).until(lambda _: self.look(script), script)

    def wait(self) -> None:
        """Until a page is drawn."""
        self.chrome.switch_to.window(self.tab)
        self.until("document.body.dataset.page")

    def saved(self) -> None:
        self.until("document.getElementById('mail').dataset.state === 'saved'")

    def ids(self) -> list[str]:
        """Names of the stamps on the page, from the cursor on."""
        labels = self.look("[...document.querySelectorAll('.cell')].map((cell) => cell.getAttribute('aria-label'))")
        return [label.rsplit(", ", 1)[0] for label in labels][self.cursor() :]

    def cursor(self) -> int:
        return int(self.look("[...document.querySelectorAll('.cell')].findIndex((c) => c.ariaSelected === 'true')"))

    def press(self, *keys: str) -> None:
        ActionChains(self.chrome, duration=0).send_keys(*keys).perform()

    def press_with_shift(self, key: str) -> None:
        ActionChains(self.chrome, duration=0).key_down(Keys.SHIFT).send_keys(key).key_up(Keys.SHIFT).perform()

    def judge_page(self, most: int = PAGE) -> int:
        """Vote on what is left of the page, or on so many."""
        self.wait()
        page = self.look("document.body.dataset.page")
        ids = self.ids()[:most]
        self.press("".join(self.judge(stamp) for stamp in ids))
        if len(ids) < most or self.cursor_is_gone(page):
            at = "document.body.dataset.page"
            self.until(f"({at} && {at} !== '{page}') || document.getElementById('banner').textContent")
        return len(ids)

    def cursor_is_gone(self, page: str) -> bool:
        return bool(self.look(f"document.body.dataset.page !== '{page}'"))

    def done(self) -> int:
        return int(self.look("document.getElementById('done').textContent").split()[0])


def votes_of(path: Path, vetter: str) -> dict[str, str]:
    return {stamp: vote.vote for (who, stamp), vote in standing(read_votes(path)).items() if who == vetter}


@pytest.fixture
def stamps(tmp_path: Path) -> Path:
    """200 stamps, of which some have names that are markup."""
    made = make_stamps(COUNT)
    names = list(made.catalogue["id"])
    names[7], names[100] = MARKUP, "a b/../&amp;\"'"
    made.catalogue["id"] = names
    return made.save(tmp_path / "stamps <b>")


@pytest.mark.slow
def test_two_vetters_by_keyboard_alone(stamps, chrome, tmp_path, capsys):
    path = stamps / "votes.jsonl"
    place = {str(name): row for row, name in enumerate(StampSet.load(stamps).catalogue["id"])}
    truth = {name: row % 3 == 0 for name, row in place.items()}

    def ann_says(name: str) -> str:  # right but for every 17th
        return "r" if truth[name] != (place[name] % 17 == 0) else "b"

    def ben_says(name: str) -> str:  # right, and unsure of every tenth
        return "u" if place[name] % 10 == 0 else "r" if truth[name] else "b"

    words = ("--vetters", "ann,<i>ben</i>", "--page", str(PAGE), "--seed", "2", "--repeats", "0.05")
    server = Running(str(stamps), *words, "--port", "0")
    port = server.links["ann"].split("/")[2].rsplit(":", 1)[1]
    try:
        ann = Vetter(chrome, server.links["ann"], ann_says)
        assert ann.done() == 0 and ann.cursor() == 0
        assert "token" not in chrome.current_url
        ann.judge_page(10)
        ann.press("z", "z", Keys.BACKSPACE)  # three back, and once more
        assert (ann.cursor(), ann.done()) == (7, 7)
        ann.judge_page(5)
        ann.saved()

        chrome.refresh()  # in the middle of a page
        ann.wait()
        assert (ann.cursor(), ann.done()) == (12, 12)
        ann.press("z")  # a vote of before the reload
        assert (ann.cursor(), ann.done()) == (11, 11)
        ann.judge_page()
        assert ann.look("document.body.dataset.page") == str(PAGE)

        ben = Vetter(chrome, server.links["<i>ben</i>"], ben_says)
        assert ben.look("document.getElementById('vetter').textContent") == "<i>ben</i>"
        # all but the bogus one by one, the rest of the page at once; that back, and again
        ben.press("".join(Keys.ARROW_RIGHT if ben_says(name) == "b" else ben_says(name) for name in ben.ids()))
        ben.until(f"document.body.dataset.page === '{PAGE}'")
        ben.press("p")
        ben.until("document.body.dataset.page === '0'")
        before = ben.done()
        for _ in range(2):
            ben.press_with_shift("b")
            ben.until(f"document.body.dataset.page === '{PAGE}'")
            ben.press("z")
            ben.until("document.body.dataset.page === '0'")
            assert ben.done() == before
        ben.press_with_shift("b")
        ben.until(f"document.body.dataset.page === '{PAGE}'")
        ben.saved()
        assert ben.done() == PAGE

        ann.wait()
        ann.judge_page(5)
        acknowledged = {vote.key for vote in read_votes(path)} if ann.saved() is None else set()
        ann.press("".join(ann_says(name) for name in ann.ids()[:4]))
        server.end()  # SIGKILL, votes on the way
        ann.press("".join(ann_says(name) for name in ann.ids()[:6]))
        ann.until("document.getElementById('mail').dataset.state === 'away'")
        assert "kept here" in ann.look("document.getElementById('mail').textContent")
        assert "Votes are kept in this browser" in ann.look("document.getElementById('banner').textContent")
        assert acknowledged <= {vote.key for vote in read_votes(path)}
        server = Running(str(stamps), *words, "--port", port)
        ann.saved()
        assert ann.look("document.getElementById('banner').hidden")
        assert ann.done() == PAGE + 15

        for vetter in (ann, ben):
            vetter.wait()
            total = int(vetter.look("document.getElementById('done').textContent").split()[2])
            assert total == COUNT + 10  # with the repeats
            while vetter.done() < total:
                vetter.judge_page()
            vetter.saved()
            assert "All are judged" in vetter.look("document.getElementById('banner').textContent")
            assert vetter.look("document.querySelectorAll('main img, main script, header i').length") == 0
            assert vetter.look("document.title") == "stamps <b> · vetting"
            loaded = vetter.look("performance.getEntriesByType('resource').map((entry) => entry.name)")
            assert all(name.startswith(f"http://127.0.0.1:{port}/") for name in loaded)
        complaints = [entry["message"] for entry in chrome.get_log("browser") if "net::ERR_" not in entry["message"]]
        assert complaints == []
        assert f"lines in {path}" in server.end(signal.SIGINT)
    finally:
        server.end()

    lines = path.read_text().splitlines()
    votes = read_votes(path)
    assert len(lines) == len(votes) == len({vote.key for vote in votes})  # nothing is there twice
    answer = {"r": "real", "b": "bogus", "u": "unsure"}
    assert votes_of(path, "ann") == {name: answer[ann_says(name)] for name in place}
    assert votes_of(path, "<i>ben</i>") == {name: answer[ben_says(name)] for name in place}
    assert len(standing(votes, repeat=True)) == 20
    assert sum(vote.undo is not None for vote in votes if vote.vetter == "ann") == 4
    assert all(vote.seconds is None or 0 <= vote.seconds < 600 for vote in votes)

    out = tmp_path / "out"
    assert main(["votes", str(stamps), "--table", str(out / "c.ecsv"), "--labelled", str(out / "set")]) == 0
    told = capsys.readouterr().out
    assert "200 of 200 stamps voted on" in told and "10/10" in told
    table = Table.read(out / "c.ecsv")
    assert dict(zip(table["id"], table["votes_unsure"], strict=True)) == {n: int(k % 10 == 0) for n, k in place.items()}
    agreed = [name for name in place if ann_says(name) == ben_says(name)]
    labels = dict(zip(table["id"], table["label"], strict=True))
    assert {name: labels[name] for name in agreed} == {name: int(truth[name]) for name in agreed}
    labelled = StampSet.load(out / "set")
    assert labelled.catalogue["id"].tolist() == list(place) and set(labelled.catalogue["origin"]) == {"vote"}
    assert [labels[name] for name in place] == labelled.labels.tolist()


@pytest.mark.slow
def test_views(stamps, chrome):
    """Every key of looking does what the list of keys says."""
    made = StampSet.load(stamps)
    rows = made.catalogue
    rows["cd1_1"], rows["cd1_2"], rows["cd2_1"], rows["cd2_2"] = (np.full(COUNT, v) for v in (0.0, -1e-4, 1e-4, 0.0))
    rows["score"] = np.linspace(0, 1, COUNT)
    other = StampSet(np.array(made.pixels), rows, made.channels).save(stamps.parent / "other")
    server = Running(str(other), "--port", "0", "--order", "score")
    try:
        cid = Vetter(chrome, server.links["open"], lambda _: "r", name="Cid & <Dora>")
        assert cid.ids()[0] == "s0199"  # the best score first

        def drawn(selector: str = ".cell canvas") -> tuple[int, int]:
            return tuple(cid.look(f"(({{width, height}}) => [width, height])(document.querySelector('{selector}'))"))

        def mark_of(selector: str = ".cell canvas") -> int:
            data = "((c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data)"
            total = ".reduce((a, b, i) => a + b * (i % 997), 0)"
            return int(cid.look(f"{data}(document.querySelector('{selector}')){total}"))

        wide, high = drawn()
        assert wide > 3 * high
        pictures = [mark_of()]
        cid.press("s")
        cid.until("document.getElementById('stretch').value === 'percentile'")
        for _ in range(100):
            if mark_of() != pictures[0]:
                break
            time.sleep(0.05)
        pictures.append(mark_of())
        cid.press("o")
        pictures.append(mark_of())
        cid.press("x")
        pictures.append(mark_of())
        assert len(set(pictures)) == 4
        cid.press("3")
        wide, high = drawn()
        assert wide == high
        cid.press("+")
        assert drawn()[0] > wide
        cid.press(" ")
        for name in ("science", "reference", "difference"):  # in turn
            cid.until(f"document.querySelector('#planes [aria-pressed=true]').textContent.endsWith('{name}')")
        cid.press(" ", "0", Keys.ENTER)
        assert cid.look("document.getElementById('grid').hidden") and drawn("#canvas")[0] > 600
        facts = cid.look("document.getElementById('facts').textContent")
        assert "s0199" in facts and "-90° from up, mirrored" in facts and "score" not in facts
        links = cid.look(
            "[...document.querySelectorAll('#links a')].map((a) => [a.textContent, a.rel, a.target, a.protocol])"
        )
        assert len(links) == 7 and {tuple(link[1:]) for link in links} == {("noopener noreferrer", "_blank", "https:")}
        cid.press("r", Keys.ARROW_LEFT)
        assert cid.look("document.getElementById('verdict').textContent") == "R real"
        cid.press(Keys.ESCAPE, "?")
        assert cid.look("document.getElementById('help').open")
        cid.press("b")  # no vote while the list of keys is open
        cid.press(Keys.ESCAPE)
        cid.press(Keys.END)
        cid.until("document.body.dataset.page === '200'")
        cid.press(Keys.PAGE_UP)
        cid.until("document.body.dataset.page === '180'")
        cid.press("j")
        cid.until("document.body.dataset.page === '180' || document.body.dataset.page === '0'")
        cid.saved()
        assert [vote.vote for vote in read_votes(other / "votes.jsonl")] == ["real"]

        chrome.switch_to.new_window("tab")
        chrome.get(f"http://127.0.0.1:{server.links['open'].split('/')[2].split(':')[1]}/")  # without the token
        WebDriverWait(chrome, PATIENCE).until(
            lambda _: "Open the link" in chrome.execute_script("return document.getElementById('banner').textContent")
        )
    finally:
        server.end()
