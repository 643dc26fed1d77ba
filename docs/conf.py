"""How the documentation is built: ``python -m sphinx -W -b html docs docs/_build``."""

from __future__ import annotations

import numpy_elmo

project = "numpy_elmo"
author = "the numpy_elmo maintainers"
release = version = numpy_elmo.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"numpy_elmo {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
# The peers' interfaces have classes of the same names as ours (Elmo, ScalarMix), and words such as "shape" in the types
# of arguments are names of attributes too: such a reference has several targets, which is no fault of the page.
suppress_warnings = ["ref.python"]
