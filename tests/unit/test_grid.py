"""Image grids."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from saccade.report.grid import GAP, image_grid, save_grid


def test_pictures_stand_where_they_should():
    images = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, 3, 4), np.uint8)
    grid = image_grid(images, columns=2, scale=1)
    assert grid.shape == (3 * (3 + GAP) + GAP, 2 * (4 + GAP) + GAP)
    for i in range(5):
        top, left = GAP + i // 2 * (3 + GAP), GAP + i % 2 * (4 + GAP)
        assert (grid[top : top + 3, left : left + 4] == i).all()
    assert (grid[-3 - GAP :, -4 - GAP :] == 255).all()
    assert (grid[:GAP] == 255).all()


def test_enlarged_pixels_and_colour(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (4, 2, 2, 3), dtype=np.uint8)
    small, large = image_grid(images, 4, 1), image_grid(images, 4, 3)
    assert (large[::3, ::3] == small).all()
    assert (large[2::3, 2::3] == small).all()
    save_grid(tmp_path / "g.png", images, 4, 3)
    assert (np.asarray(Image.open(tmp_path / "g.png")) == large).all()
    assert [path.name for path in tmp_path.iterdir()] == ["g.png"]


@pytest.mark.parametrize("shape", [(0, 2, 2), (2, 2), (1, 2, 2, 4)])
def test_other_layouts_are_refused(shape):
    with pytest.raises(ValueError, match=r"uint8 images \[N, H, W\]"):
        image_grid(np.zeros(shape, np.uint8), 1)
    with pytest.raises(ValueError, match="columns and scale"):
        image_grid(np.zeros((1, 2, 2), np.uint8), 0)
