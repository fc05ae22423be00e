"""What every figure stands on: style, SVG, plain words."""

from __future__ import annotations

import re

import numpy as np

from realbogus.evaluation.canvas import COLOURS, new_axes, svg


def draw() -> str:
    ax = new_axes()
    for k, colour in enumerate(COLOURS.values()):
        ax.plot([0, k], color=colour, label=f"line {k}")
    ax.imshow(np.eye(3))
    ax.set_title("<b> & more")
    return svg(ax, "some")


def test_svg_needs_nothing_from_outside_and_is_the_same_every_time() -> None:
    text = draw()
    assert text == draw()
    assert "http" not in text
    assert "<style" not in text
    assert "&lt;b&gt; &amp; more" in text
    for name, colour in COLOURS.items():
        assert colour not in text  # all have become variables of the page
        assert f"var(--{name})" in text
    ids = set(re.findall(r' id="([^"]+)"', text))
    assert ids
    assert all(name.startswith("some-") for name in ids)
    assert set(re.findall(r'(?:url\(|<use href=")#([^)"]+)', text)) <= ids


def test_dollar_signs_stay_dollar_signs() -> None:
    ax = new_axes()
    ax.bar([0, 1, 2], [1, 2, 3])
    ax.set_xticks([0, 1, 2], ["$a_1$", "b$c$d", "$e$"])
    ax.annotate("$f^2$", (0.5, 0.5))
    words = re.findall(r"<text[^>]*>([^<]*)</text>", svg(ax, "some"))
    assert {"$a_1$", "b$c$d", "$e$", "$f^2$"} <= set(words)


def test_fixed_frames_line_up() -> None:
    places = []
    for label in ("1", "1,000,000"):
        ax = new_axes(5.6, 2.1, fixed=True)
        ax.set_yticks([0], [label])
        ax.figure.draw_without_rendering()
        places.append(ax.get_position().bounds)
    assert places[0] == places[1]
