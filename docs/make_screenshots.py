"""Make the pictures of the explorer for its page and the README: ``python docs/make_screenshots.py``.

It needs Chromium.  The page is written by ``numpy-elmo explore --html`` and shown from the disk.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from numpy_elmo.cli import main as numpy_elmo

IMAGES = Path(__file__).parent / "images"
# The narrowest page with two columns: in a column of 736 pixels, its labels can still be read.
WIDTH, HEIGHT, SCALE = 1044, 1530, 1.5
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=20000"]
# Chromium's numbers of the schemes.
SCHEMES = {"dark": 0, "light": 1}


def main() -> None:
    """Write one picture for each scheme."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("pictures of the explorer need chromium on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        numpy_elmo(["explore", "--html", str(page)])
        for scheme, number in SCHEMES.items():
            picture = Path(folder) / "picture.png"
            flags = [
                *FLAGS,
                f"--user-data-dir={folder}/{scheme}",
                f"--window-size={WIDTH},{HEIGHT}",
                f"--force-device-scale-factor={SCALE}",
                f"--blink-settings=preferredColorScheme={number}",
                f"--screenshot={picture}",
            ]
            subprocess.run([chromium, *flags, page.as_uri()], check=True, capture_output=True)
            with Image.open(picture) as image:  # a palette takes a fifth of the space; MAXCOVERAGE keeps rare colours
                image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(
                    IMAGES / f"explorer-{scheme}.png", optimize=True
                )


if __name__ == "__main__":
    main()
