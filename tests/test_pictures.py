"""The drawings of the documents: every text can be read."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import ImageFont

DRAWINGS = [
    path
    for path in sorted((Path(__file__).resolve().parents[1] / "docs" / "images").glob("*.svg"))
    if "font:13px" in path.read_text()
]
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"  # the widest of the usual ones
Box = tuple[float, float, float, float]


def text_boxes(drawing: ET.Element) -> dict[str, Box]:
    """Left, top, right and bottom of every text, at the sizes of the drawings' style sheet."""
    boxes = {}
    for text in drawing.iter("{http://www.w3.org/2000/svg}text"):
        font = ImageFont.truetype(FONT, 11 if text.get("class") == "small" else 13)
        x, y, content = float(text.get("x", 0)), float(text.get("y", 0)), text.text or ""
        left, top, right, bottom = font.getbbox(content, anchor="ls")
        boxes[f"{content} at {x:g}, {y:g}"] = (x + left, y + top, x + right, y + bottom)
    return boxes


def points(drawing: ET.Element) -> list[tuple[float, float]]:
    """Points along every stroke that is a straight line or a cubic curve in absolute coordinates, about a pixel apart."""
    found = []
    for path in drawing.iter("{http://www.w3.org/2000/svg}path"):
        for stroke in re.findall(r"M[^M]+", path.get("d", "")):
            if re.fullmatch(r"M[\d. ]+[LC][\d. -]+", stroke):
                numbers = np.array(re.findall(r"-?[\d.]+", stroke), dtype=float).reshape(-1, 2)
                found += list(map(tuple, _bezier(numbers)))
    return found


def _bezier(control: np.ndarray) -> np.ndarray:
    """De Casteljau's construction, at 300 places at once."""
    at = np.linspace(0, 1, 300)[:, None, None]
    places = np.broadcast_to(control, (300, *control.shape))
    while places.shape[1] > 1:
        places = (1 - at) * places[:, :-1] + at * places[:, 1:]
    return places[:, 0]


def frames(drawing: ET.Element) -> list[Box]:
    """The boxes that texts may stand in, or beside."""
    rects = [rect for rect in drawing.iter("{http://www.w3.org/2000/svg}rect") if rect.get("width") != "100%"]
    sizes = [[float(rect.get(name, 0)) for name in ("x", "y", "width", "height")] for rect in rects]
    return [(x, y, x + width, y + height) for x, y, width, height in sizes]


def apart(one: Box, other: Box) -> bool:
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def within(one: Box, other: Box) -> bool:
    return one[0] >= other[0] and one[1] >= other[1] and one[2] <= other[2] and one[3] <= other[3]


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_no_text_lies_over_another_over_a_line_or_an_edge(path: Path) -> None:
    drawing = ET.parse(path).getroot()
    boxes, strokes, frame = text_boxes(drawing), points(drawing), frames(drawing)
    _, _, width, height = map(float, drawing.get("viewBox", "").split())
    for name, box in boxes.items():
        assert within(box, (0, 0, width, height)), f"{name} is cut off"
        assert not any(within((*place, *place), box) for place in strokes), f"a line crosses {name}"
        assert all(apart(box, edge) or within(box, edge) for edge in frame), f"a box cuts {name}"
    for (name, one), (other, two) in itertools.combinations(boxes.items(), 2):
        assert apart(one, two), f"{name} lies over {other}"
