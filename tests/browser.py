"""Chromium for the tests of the explorer and of the book."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

with suppress(ImportError):
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.remote.webelement import WebElement

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Any other name is not found: what the page would load from elsewhere fails, and the console says so.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class Chromium:
    """Chromium without a network, and what tests ask of it."""

    def __init__(self, profile: Path) -> None:
        chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if not (chromium and driver):
            pytest.fail("these tests need chromium and chromedriver on the PATH", pytrace=False)
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))

    def open(self, url: str, width: int = 1280, scheme: str = "light") -> None:
        """Show a page as a window of this width does, and wait until it is drawn."""
        command = self.driver.execute_cdp_cmd
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        command("Emulation.setDeviceMetricsOverride", size)
        command("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        self.driver.get(url)
        self.drawn()

    def until(self, is_true: Callable[[], Any], seconds: float = 60) -> Any:
        """Wait for something to be true, and return it."""
        end = time.monotonic() + seconds
        while True:
            with suppress(Exception):
                if found := is_true():
                    return found
            if time.monotonic() > end:
                return is_true() or pytest.fail(f"the page has not come to it; it says {self.text('body')!r:.2000}")
            time.sleep(0.03)

    def drawn(self) -> None:
        """Wait until a page is whole, where its loading does not tell."""

    def all(self, selector: str) -> list[WebElement]:
        found: list[WebElement] = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return str(
            self.run("const e = document.querySelector(arguments[0]); return e.innerText ?? e.textContent", selector)
        )

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def each(self, selector: str, expression: str) -> list[Any]:
        """Return what a JavaScript expression gives for each element e."""
        found = self.run(f"return [...document.querySelectorAll(arguments[0])].map((e) => {expression})", selector)
        return list(found)

    def console(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the last call, but not by the browser's own start page."""
        log = self.driver.get_log("performance")
        events = [json.loads(entry["message"])["message"] for entry in log]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [url for event in sent if not (url := event["request"]["url"]).startswith("chrome:")]
