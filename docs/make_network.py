"""Draw the whole network as docs/images/network-light.svg and network-dark.svg: ``python docs/make_network.py``."""

from __future__ import annotations

from pathlib import Path

IMAGES = Path(__file__).parent / "images"
# In the themes of numpy_elmo.analysis.plots: behind, text, quiet text, panels, lines; then strong and pale colours of
# what knows the token alone, of the forward and of the backward direction, and of the mix.
THEMES = {
    "light": {
        "behind": "#ffffff", "ink": "#1c2128", "quiet": "#57606a", "panel": "#f3f5f8", "line": "#8b949e",
        "token": "#00795a", "token-pale": "#bfe6da", "forward": "#0072b2", "forward-pale": "#c2e0f2",
        "backward": "#b35c00", "backward-pale": "#fadfb5", "mix": "#8a3f7b", "mix-pale": "#eed3e6",
    },
    "dark": {
        "behind": "#131416", "ink": "#e6e8eb", "quiet": "#a9b1ba", "panel": "#1f2226", "line": "#6b7480",
        "token": "#3fd0a4", "token-pale": "#12473a", "forward": "#6cc0f0", "forward-pale": "#123f5c",
        "backward": "#f2b04a", "backward-pale": "#5a3a0c", "mix": "#e39bd0", "mix-pale": "#55284b",
    },
}  # fmt: skip
WIDTH, HEIGHT = 400, 768
STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; font-size: 12.5px; }
.title { font-size: 13.5px; font-weight: 600; }
.small { font-size: 11.5px; }
.mono { font-family: ui-monospace, "SFMono-Regular", Menlo, "DejaVu Sans Mono", monospace; font-size: 13px; }
"""


class Drawing:
    """SVG elements in the colours of a theme."""

    def __init__(self, theme: str) -> None:
        self.colours = THEMES[theme]
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{1.3 * WIDTH:.0f}" '
            f'height="{1.3 * HEIGHT:.0f}">',
            "<title>ELMo: from the characters of a token to its vector</title>",
            f"<style>{STYLE}</style>",
            *(
                f'<defs><marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
                f'orient="auto"><path d="M0 0 8 4 0 8Z" fill="{self.colours[name]}"/></marker></defs>'
                for name in ("line", "token", "forward", "backward", "mix")
            ),
        ]

    def rect(  # noqa: PLR0917
        self, x: float, y: float, w: float, h: float, fill: str, edge: str = "", r: float = 0
    ) -> None:
        """Draw a box with corners of radius r."""
        stroke = f' stroke="{self.colours[edge]}"' if edge else ""
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="{r}" fill="{self.colours.get(fill, fill)}"{stroke}/>'
        )

    def text(  # noqa: PLR0917
        self, x: float, y: float, text: str, colour: str = "ink", at: str = "start", kind: str = ""
    ) -> None:
        """Write text in a style."""
        self.parts.append(
            f'<text x="{x}" y="{y}" fill="{self.colours[colour]}" text-anchor="{at}" class="{kind}">{text}</text>'
        )

    def path(self, d: str, colour: str, *, arrow: bool = False, fill: str = "none") -> None:
        """Draw a line."""
        head = f' marker-end="url(#{colour})"' if arrow else ""
        self.parts.append(
            f'<path d="{d}" fill="{self.colours.get(fill, fill)}" stroke="{self.colours[colour]}" '
            f'stroke-width="1.4"{head}/>'
        )

    def vector(self, x: float, y: float, n: int, colour: str, size: float = 8) -> None:
        """Draw n numbers in a row."""
        for k in range(n):
            self.rect(x + k * size, y, size, size, f"{colour}-pale", colour)

    def note(self, y: float, name: str, *lines: str) -> None:
        """Explain a step in the column at the right."""
        self.text(252, y, name, kind="title")
        for k, line in enumerate(lines):
            self.text(252, y + 16 + 15 * k, line, "quiet")


def one_token(draw: Drawing) -> None:
    """Draw what happens to a token by itself: characters, convolutions, highway, projection."""
    draw.rect(1, 1, WIDTH - 2, 336, "panel", r=10)
    draw.text(14, 24, "One token at a time", "token", kind="title")
    # Characters and their vectors.
    cell, left, top = 26, 14, 36
    for k, character in enumerate(["⟨", "b", "a", "n", "k", "⟩", "·", "·"]):
        inside = character.isalpha()
        draw.rect(
            left + k * cell, top, cell - 3, 23, "token-pale" if inside else "behind", "token" if inside else "line", 3
        )
        draw.text(left + k * cell + 11.5, top + 16.5, character, "ink" if inside else "quiet", "middle", "mono")
        for row in range(4):
            draw.rect(left + k * cell + 6.5, top + 34 + 9 * row, 10, 9, "token-pale", "token")
    draw.text(left + 8 * cell + 2, top + 16, "…", "quiet")
    draw.note(top + 10, "Characters", "50 ids, with marks for", "the ends of the word")
    draw.note(top + 62, "Embeddings", "16 numbers each")
    # A window of three characters, and the places where filters of each width were tried.
    draw.path(f"M{left + 2 * cell - 3} {top + 30}h{3 * cell + 2}v44h{-3 * cell - 2}z", "ink")
    draw.path(f"M{left + 5 * cell + 6} {top + 80}h34", "line", arrow=True)
    draw.path(f"M{left + 2.5 * cell + 22} {top + 75}V{top + 106}", "ink")
    tops, best = {1: top + 92, 3: top + 107, 6: top + 122}, {1: 1, 3: 2, 6: 2}
    y = top + 152
    for n, (width, y_places) in enumerate(tops.items()):
        x = left + (best[width] + width / 2 - 0.5) * cell + 11.5
        draw.path(f"M{x} {y_places + 12}V{y - 12}L{left + 34 + 68 * n} {y - 2}", "line", arrow=True)
        for k in range(6):
            draw.rect(left + 4 + 68 * n + 10 * k, y, 10, 10, "token-pale", "token")
    for width, y_places in tops.items():
        for place in range(9 - width):
            x = left + (place + width / 2 - 0.5) * cell + 5
            draw.rect(x, y_places, 13, 11, "token" if place == best[width] else "behind", "token", 2)
        draw.text(left + 8 * cell + 8, y_places + 10, str(width), "quiet", kind="small")
    draw.note(top + 103, "Convolutions", "filters of widths 1 to", "6, at every place")
    draw.note(y + 2, "Maximum", "512 features")
    # Highway: the gate's two ways.
    y += 18
    draw.path(f"M{left + 102} {y - 4}V{y + 11}", "line", arrow=True)
    draw.rect(left + 62, y + 13, 80, 25, "behind", "token", 5)
    draw.text(left + 102, y + 30, "g · new", "ink", "middle")
    draw.path(f"M{left + 102} {y + 3}H{left + 8}V{y + 50}H{left + 93}", "line", arrow=True)
    draw.text(left + 35, y + 30, "1 − g", "ink", "middle")
    draw.path(f"M{left + 102} {y + 38}V{y + 42}", "line")
    plus(draw, left + 102, y + 50)
    draw.note(y + 22, "Highway", "a gate g mixes old", "and new features")
    # Projection.
    y += 58
    draw.path(f"M{left + 102} {y}V{y + 8}", "line", arrow=True)
    draw.path(f"M{left + 4} {y + 10}H{left + 200}L{left + 150} {y + 34}H{left + 54}Z", "token", fill="behind")
    draw.text(left + 102, y + 27, "W", "ink", "middle")
    draw.path(f"M{left + 102} {y + 35}V{y + 44}", "line", arrow=True)
    draw.vector(left + 54, y + 46, 12, "token")
    draw.note(y + 18, "Projection", "128 numbers: the", "token vector x")
    # Both directions read it.
    draw.path(f"M{left + 102} {y + 55}V{y + 90}", "line", arrow=True)
    draw.path(f"M{left + 102} {y + 73}H{302}V{y + 90}", "line", arrow=True)


def plus(draw: Drawing, x: float, y: float) -> None:
    """Draw a sum of two arrows."""
    draw.parts.append(
        f'<circle cx="{x}" cy="{y}" r="7" fill="{draw.colours["behind"]}" stroke="{draw.colours["line"]}"/>'
    )
    draw.path(f"M{x - 4} {y}h8M{x} {y - 4}v8", "ink")


def direction(draw: Drawing, left: float, top: float, colour: str) -> None:
    """Draw one direction's two LSTM layers over three tokens."""
    forward = colour == "forward"
    draw.rect(left, top, 195, 257, "panel", r=10)
    draw.text(left + 97.5, top + 20, "Forward: reads →" if forward else "Backward: ← reads", colour, "middle", "title")
    columns = [left + 36, left + 97.5, left + 159]
    for n, (x, token) in enumerate(zip(columns, ["The", "bank", "lent"], strict=True)):
        draw.text(x, top + 40, token, "ink", "middle", "title" if token == "bank" else "")
        draw.vector(x - 12, top + 47, 3, "token")
        # Around layer 2, from layer 1.
        draw.path(f"M{x} {top + 121}h30v58h-21", "line", arrow=True)
        for y, name in ((top + 68, "LSTM 1"), (top + 134, "LSTM 2")):
            draw.rect(x - 24.5, y, 49, 26, f"{colour}-pale", colour, 5)
            draw.text(x, y + 17, name, "ink", "middle", "small")
            # The state goes to the next token read.
            if forward and n < 2:
                draw.path(f"M{x + 24.5} {y + 13}h11", colour, arrow=True)
            if not forward and n > 0:
                draw.path(f"M{x - 24.5} {y + 13}h-11", colour, arrow=True)
        draw.path(f"M{x} {top + 56}v10", "line", arrow=True)
        draw.path(f"M{x} {top + 94}v9", "line", arrow=True)
        draw.vector(x - 12, top + 105, 3, colour)
        draw.path(f"M{x} {top + 114}v18", "line", arrow=True)
        draw.path(f"M{x} {top + 160}v11", "line", arrow=True)
        plus(draw, x, top + 179)
        draw.path(f"M{x} {top + 187}v9", "line", arrow=True)
        draw.vector(x - 12, top + 198, 3, colour)
    draw.text(left + 97.5, top + 228, "cells of 512, outputs of 128", "quiet", "middle")
    draw.text(left + 97.5, top + 245, "⊕ ends the skip connection", "quiet", "middle")


def layers(draw: Drawing, top: float) -> None:
    """Draw the three layers of one token and their mix."""
    draw.rect(1, top, WIDTH - 2, HEIGHT - top - 1, "panel", r=10)
    draw.text(14, top + 22, "Three layers of “bank” make one vector", "mix", kind="title")
    x, half = 74, 80
    for k, halves in enumerate([("token", "token"), ("forward", "backward"), ("forward", "backward")]):
        y = top + 36 + 25 * k
        draw.text(14, y + 14, f"layer {k}")
        for n, (colour, text) in enumerate(zip(halves, [("x", "x"), ("→ 1", "← 1"), ("→ 2", "← 2")][k], strict=True)):
            draw.rect(x + n * half, y, half, 19, f"{colour}-pale", colour)
            draw.text(x + n * half + half / 2, y + 14, text, "ink", "middle")
        sub = "₀₁₂"[k]
        draw.text(x + 2 * half + 8, y + 14, f"× s{sub}")
        draw.path(f"M{x + 2 * half + 38} {y + 10}H{290}V{top + 70}H{304}", "mix", arrow=k == 1)
    draw.text(308, top + 66, "weighted", "ink")
    draw.text(308, top + 81, "sum, × γ", "ink")
    draw.path(f"M334 {top + 88}V{top + 122}H{x + 2 * half + 4}", "mix", arrow=True)
    draw.rect(x, top + 112, 2 * half, 20, "mix-pale", "mix")
    draw.text(x + half, top + 126.5, "256 numbers", "ink", "middle")
    draw.text(14, top + 126.5, "ELMo")


def network(theme: str) -> str:
    """Return the drawing."""
    draw = Drawing(theme)
    one_token(draw)
    direction(draw, 1, 358, "forward")
    direction(draw, 204, 358, "backward")
    layers(draw, 624)
    return "\n".join([*draw.parts, "</svg>\n"])


if __name__ == "__main__":
    for name in THEMES:
        (IMAGES / f"network-{name}.svg").write_text(network(name), encoding="utf-8")
