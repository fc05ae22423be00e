"""Take the pictures of docs/vet.md: simulated stamps, the page in Chromium, one picture a view.

Needs chromium, chromedriver and `pip install "realbogus[dev,vet]"`. Run from the repository's root:
`python scripts/vet_screenshots.py`.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from realbogus.stamps import StampSet

OUT = Path(__file__).resolve().parents[1] / "docs" / "_static"


def with_positions(stamps: StampSet) -> StampSet:
    """Give simulated stamps a sky: a detector that is turned by 25 degrees, 0.86 arcsec a pixel."""
    rows, turn = stamps.catalogue.copy(), np.radians(25.0)
    x, y = np.asarray(rows["x"]), np.asarray(rows["y"])
    east, north = -x * np.cos(turn) - y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
    rows["ra"] = 185.728 + east * 0.86 / 3600 / np.cos(np.radians(15.8))
    rows["dec"] = 15.822 + north * 0.86 / 3600
    rows["mjd"] = 60300.2 + np.unique(np.asarray(rows["frame"]), return_inverse=True)[1] * 0.002
    rows["id"] = [f"msa-{k:04d}" for k in range(len(rows))]
    return StampSet(np.asarray(stamps.pixels), rows, stamps.channels)


def wait(driver: webdriver.Chrome) -> None:
    """Wait until a page is drawn and all votes are saved."""
    done = "return document.body.dataset.page && document.getElementById('mail').dataset.state === 'saved'"
    WebDriverWait(driver, 60).until(lambda d: d.execute_script(done))
    time.sleep(0.3)


def shoot(driver: webdriver.Chrome, name: str) -> None:
    """Write what is seen with few colours: a picture for a page, not for measuring."""
    picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    picture.quantize(256, kmeans=2, dither=Image.Dither.NONE).save(OUT / f"{name}.png", optimize=True)
    print(OUT / f"{name}.png", (OUT / f"{name}.png").stat().st_size // 1024, "KiB")


def press(driver: webdriver.Chrome, *keys: str) -> None:
    ActionChains(driver).send_keys(*keys).perform()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stamps", default=None, help="a simulated set that is there already")
    given = parser.parse_args().stamps
    with tempfile.TemporaryDirectory() as folder:
        made = Path(given) if given else Path(folder) / "simulated"
        if given is None:
            command = [sys.executable, "-m", "realbogus", "simulate", "--stamps", "12", "--seed", "5", "-o", str(made)]
            subprocess.run(command, check=True)
        stamps = with_positions(StampSet.load(made)).save(Path(folder) / "night-2026-11-23")
        command = [sys.executable, "-m", "realbogus", "vet", str(stamps), "--port", "0", "--no-browser"]
        server = subprocess.Popen([*command, "--seed", "4"], stdout=subprocess.PIPE, text=True)
        options = webdriver.ChromeOptions()
        flags = ["--headless=new", "--window-size=1360,900", "--hide-scrollbars", "--disable-gpu"]
        for flag in flags + (["--no-sandbox"] if os.geteuid() == 0 else []):
            options.add_argument(flag)
        options.binary_location = shutil.which("chromium") or shutil.which("chromium-browser") or ""
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            link = next(line for line in server.stdout if line.startswith("open ")).split()[1]
            driver.get(link)
            WebDriverWait(driver, 60).until(lambda d: d.find_element(By.ID, "name").is_displayed())
            press(driver, "Henrietta")
            shoot(driver, "vet-start")
            press(driver, Keys.ENTER)
            wait(driver)
            judged = {row["id"]: "r" if row["label"] == 1 else "b" for row in StampSet.load(stamps).catalogue}
            for label in driver.execute_script(
                "return [...document.querySelectorAll('.cell')].map((c) => c.getAttribute('aria-label').split(',')[0])"
            )[:11]:
                press(driver, judged[label] if not re.search("[37]$", label) else "u")
            wait(driver)
            shoot(driver, "vet-grid")
            press(driver, "3")
            time.sleep(0.5)
            shoot(driver, "vet-difference")
            press(driver, "0", "o", Keys.ENTER)
            wait(driver)
            shoot(driver, "vet-single")
            press(driver, Keys.ESCAPE, "s", "s")
            wait(driver)
            press(driver, "?")
            time.sleep(0.3)
            shoot(driver, "vet-keys")
            press(driver, Keys.ESCAPE, "o", "s")
            wait(driver)
            server.kill()
            server.wait()
            press(driver, "r", "b", "b")
            time.sleep(1.5)
            shoot(driver, "vet-away")
            for entry in driver.get_log("browser"):
                print(entry["level"], entry["message"])
        finally:
            driver.quit()
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
