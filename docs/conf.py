"""How the documentation is built: ``python -m sphinx -W -b html docs docs/_build``."""

from __future__ import annotations

import json
import re
import sys
from html import unescape
from pathlib import Path

from sphinx.application import Sphinx

import numpy_elmo

sys.path.insert(0, str(Path(__file__).parent))  # for mathml

project = "numpy_elmo"
author = "the numpy_elmo maintainers"
release = version = numpy_elmo.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "mathml",
]
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"numpy_elmo {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# So the reference is the same wherever it is built, and the extra "docs" is enough.
autodoc_mock_imports = ["dask", "matplotlib", "sklearn", "spacy", "torch"]
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
# The peers' interfaces have classes of the same names as ours (Elmo, ScalarMix), and words such as "shape" in the types
# of arguments are names of attributes too: such a reference has several targets, which is no fault of the page.
suppress_warnings = ["ref.python"]

# Markdown viewers show directives as text, so the pages say the same in HTML and in comments.
PICTURE = re.compile(
    r'^<picture>\n  <source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">\n'
    r'  <img alt="(?P<alt>[^"]+)" src="(?P<light>[^"]+)"(?: width="(?P<width>\d+)")?>\n</picture>$',
    flags=re.MULTILINE,
)
CONTENTS = re.compile(r"^<!-- contents: (?P<caption>.+)\n(?P<pages>(?:[\w-]+\n)+)-->$", flags=re.MULTILINE)


def to_directives(app: Sphinx, name: str, source: list[str]) -> None:
    """Turn ``<picture>`` into the images of the two themes, and ``<!-- contents -->`` into a table of contents."""

    def images(found: re.Match[str]) -> str:
        options = f":alt: {json.dumps(unescape(found['alt']))}\n"
        options += f":width: {found['width']}\n" if found["width"] else ""
        return "".join(
            f"```{{image}} {found[theme]}\n:class: only-{theme}\n{options}```\n" for theme in ("light", "dark")
        )

    contents = "```{toctree}\n:hidden:\n:caption: \\g<caption>\n\n\\g<pages>```"
    source[0] = CONTENTS.sub(contents, PICTURE.sub(images, source[0]))


def setup(app: Sphinx) -> None:
    app.connect("source-read", to_directives)
