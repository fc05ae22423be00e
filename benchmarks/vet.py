"""How fast a page of `realbogus vet` shows: the server's part, and, where Chromium is, the whole.

`python benchmarks/vet.py` makes 10,000 stamps of 3 x 64 x 64 in a temporary folder (0.5 GB) and prints medians and
worst cases. The browser's times run from the key to the page drawn, on pages that were not asked for before
(`end`, `home`) and on the next page (`n`), which the page has already asked for while the last one was looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
from astropy.table import Table

from realbogus.stamps import StampSet
from realbogus.tables import write_parquet

CHANNELS = ("difference", "science", "reference")


def make(folder: Path, count: int, size: int) -> Path:
    """Write noise with sources; the same few stamps again and again, as many on disk as were asked for."""
    rng = np.random.default_rng(0)
    tile = rng.normal(100, 5, (250, 3, size, size)).astype(np.float32)
    tile[:, :, size // 2, size // 2] += 300
    folder.mkdir()
    shape = (count, 3, size, size)
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, count, len(tile)):
        pixels[start : start + len(tile)] = tile[: count - start]
    pixels.flush()
    rows = {"id": [f"stamp-{k:06d}" for k in range(count)], "frame": [f"f{k // 50}" for k in range(count)]}
    rows |= {name: rng.uniform(0, 1000, count) for name in ("x", "y")}
    rows |= {"ra": 180 + rows["x"] * 2e-4, "dec": rows["y"] * 2e-4, "snr": rng.uniform(5, 50, count)}
    rows |= {"noise": np.full(count, 5.0), "fwhm": np.full(count, 3.0), "score": rng.random(count)}
    write_parquet(Table(rows), folder / "catalogue.parquet")
    StampSet.write_card(folder, CHANNELS, shape, {})
    return folder


def say(name: str, seconds: list[float]) -> None:
    print(f"{name:<44} median {1e3 * statistics.median(seconds):7.0f} ms   worst {1e3 * max(seconds):7.0f} ms")


def by_server(link: str, count: int, page: int) -> None:
    base, token = link.split("#token=")
    headers = {"X-Realbogus-Token": token, "X-Realbogus-Vetter": "bench"}

    def ask(path: str) -> bytes:
        with urllib.request.urlopen(urllib.request.Request(base + path, headers=headers)) as answer:
            return answer.read()

    def timed(path: str) -> tuple[float, bytes]:
        start = time.perf_counter()
        body = ask(path)
        return time.perf_counter() - start, body

    say("the session (order, repeats, history)", [timed("api/session")[0] for _ in range(3)])
    for stretch in ("asinh", "percentile", "zscale"):
        seconds = []
        for start in np.linspace(0, count - page, 12).astype(int) // page * page:
            first, body = timed(f"api/page?start={start}")
            rows = ",".join(str(item["row"]) for item in json.loads(body)["items"])
            seconds.append(first + timed(f"api/sheet?rows={rows}&stretch={stretch}")[0])
        say(f"a page of {page}, {stretch}: facts and picture", seconds)


def by_browser(link: str) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    try:
        from selenium import webdriver
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys
        from selenium.webdriver.support.ui import WebDriverWait
    except ImportError:
        browser = None
    if browser is None or driver is None:
        print("no browser's times: they need chromium, chromedriver and selenium")
        return
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in ["--headless=new", "--window-size=1440,900"] + (["--no-sandbox"] if os.geteuid() == 0 else []):
        options.add_argument(flag)
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as chrome:
        chrome.get(f"{link}&vetter=bench")
        WebDriverWait(chrome, 60).until(lambda d: d.execute_script("return document.body.dataset.page"))
        # the page itself takes the time: from the key to the change of the mark that says it is drawn
        chrome.execute_script("""
            window.times = [];
            let pressed = 0;
            document.addEventListener("keydown", () => { pressed = performance.now(); }, true);
            new MutationObserver(() => {
              if (document.body.dataset.page) { requestAnimationFrame(() => times.push(performance.now() - pressed)); }
            }).observe(document.body, { attributes: true, attributeFilter: ["data-page"] });
        """)

        def times(keys: list[str]) -> list[float]:
            found = []
            for key in keys:
                time.sleep(1.0)  # to look at it
                chrome.execute_script("times.length = 0")
                ActionChains(chrome).send_keys(key).perform()
                WebDriverWait(chrome, 60, 0.05).until(lambda d: d.execute_script("return times.length"))
                found.append(chrome.execute_script("return times[0]") / 1000)
            return found

        say("Chromium: a page far away (end, home)", times([Keys.END, "p", "p", Keys.HOME] * 2))
        say("Chromium: the next page (n)", times(["n"] * 10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--page", type=int, default=48)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stamps = make(Path(folder) / "stamps", options.count, options.size)
        command = [sys.executable, "-m", "realbogus", "vet", str(stamps), "--port", "0", "--no-browser"]
        start = time.perf_counter()
        server = subprocess.Popen([*command, "--page", str(options.page)], stdout=subprocess.PIPE, text=True)
        try:
            link = next(line for line in server.stdout if line.startswith("open ")).split()[1]
            load = os.getloadavg()[0]
            print(f"{options.count} stamps, {options.page} a page; load {load:.1f} on {os.cpu_count()} cores")
            print(f"{'started in':<44}        {time.perf_counter() - start:7.1f} s")
            by_server(link, options.count, options.page)
            by_browser(link)
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
