"""Draw formulas as MathML, by the converter that Sphinx installs with docutils.

Browsers draw MathML themselves, so the book needs no script and no network, which MathJax does.  docutils calls the
converter provisional: ``tests/test_docs.py`` pins what it draws.  It never prints a formula that it cannot read: the
build fails and names the place.

The font is ``_static/stix-two-math.woff2``, cut from @fontsource/stix-two-math 5.3.0 (npm) by fontTools 4.68.0::

    pyftsubset stix-two-math-latin-400-normal.woff2 --output-file=stix-two-math.woff2 --flavor=woff2 --no-hinting
      --layout-features=ssty,dtls,flac,kern,mark,mkmk --unicodes=20-7E,A0-FF,131,237,300-338,370-3FF,2000-206F,
      2100-214F,2190-21FF,2200-22FF,2308-230B,23DC-23DF,27E6-27EB,1D400-1D467,1D6A4-1D6A5,1D6E2-1D71B,1D7CE-1D7D7
"""

from __future__ import annotations

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.logging import get_node_location
from sphinx.writers.html5 import HTML5Translator


def draw(node: nodes.math | nodes.math_block) -> str:
    """Return a formula as MathML."""
    tex = node.astext().replace(r"\dots", r"\ldots")  # which the converter does not know
    try:
        return str(tex2mathml(tex, as_block=isinstance(node, nodes.math_block)))
    except MathError as error:
        raise ExtensionError(f"{get_node_location(node)}: cannot draw {tex!r}: {error}") from error


def visit_math(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(f'<span class="math">{draw(node)}</span>')
    raise nodes.SkipNode


def visit_math_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{draw(node)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
