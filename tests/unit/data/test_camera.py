"""The simulated event camera, against a pixel-by-pixel account of the same physics."""

import math

import pytest
import torch

from saccade.data.camera import OFF, ON, saccade_path, simulate_camera

TRIANGLE = ((0.0, 0.0), (1.7, 0.6), (-0.4, 1.3), (0.0, 0.0))


def slow_camera(images, path, frames, threshold, dark):
    """One pixel, one time step, one event after the other."""

    def light(image, y, x):
        height, width = image.shape
        top, left = math.floor(y), math.floor(x)
        total = 0.0
        for row, weight_y in ((top, top + 1 - y), (top + 1, y - top)):
            for column, weight_x in ((left, left + 1 - x), (left + 1, x - left)):
                pixel = image[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
                total += weight_y * weight_x * float(pixel)
        return math.log(total + dark)

    steps = len(path) - 1
    counts = torch.zeros(frames, len(images), 2, *images.shape[1:], dtype=images.dtype)
    for n, image in enumerate(images):
        for y in range(image.shape[0]):
            for x in range(image.shape[1]):
                start = light(image, y - float(path[0][0]), x - float(path[0][1]))
                level = 0
                for s in range(1, steps + 1):
                    change = light(image, y - float(path[s][0]), x - float(path[s][1])) - start
                    while change >= (level + 1) * threshold:
                        level += 1
                        counts[(s - 1) * frames // steps, n, ON, y, x] += 1
                    while change <= (level - 1) * threshold:
                        level -= 1
                        counts[(s - 1) * frames // steps, n, OFF, y, x] += 1
    return counts


@pytest.mark.parametrize("frames", [1, 4])
def test_agrees_with_a_loop_over_pixels(frames):
    images = torch.rand(2, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    path = saccade_path(TRIANGLE, 11)
    counts = simulate_camera(images, path, frames=frames, threshold=0.15, dark=0.05)
    assert counts.max() > 1  # several thresholds in one step occur
    assert torch.equal(counts, slow_camera(images, path, frames, 0.15, 0.05))


def test_a_bright_bar_is_on_in_front_and_off_behind():
    image = torch.zeros(1, 5, 9, dtype=torch.float64)
    image[..., 4] = 1
    counts = simulate_camera(image, saccade_path([(0, 0), (0, 1)], 10), frames=1)[0, 0]
    assert (counts[ON, :, 5] > 0).all()
    assert (counts[OFF, :, 4] > 0).all()
    assert counts[ON].sum() == counts[ON, :, 5].sum()
    assert counts[OFF].sum() == counts[OFF, :, 4].sum()


def test_a_way_back_to_the_start_leaves_every_pixel_as_it_was():
    images = torch.rand(3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    total = simulate_camera(images, saccade_path(TRIANGLE, 60), frames=6).sum(0)
    assert total.sum() > 0
    assert torch.equal(total[:, ON], total[:, OFF])


def test_frames_are_shares_of_the_same_events():
    images = torch.rand(2, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    path = saccade_path(TRIANGLE, 24)
    frames = simulate_camera(images, path, frames=24)
    assert torch.equal(frames.view(4, 6, *frames.shape[1:]).sum(1), simulate_camera(images, path, frames=4))


def test_sees_contrast_not_brightness():
    images = torch.rand(2, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    path = saccade_path(TRIANGLE, 20)
    dim = simulate_camera(images / 8, path, frames=2, dark=0.1 / 8)
    assert torch.equal(dim, simulate_camera(images, path, frames=2, dark=0.1))


def test_an_even_picture_makes_no_events():
    assert simulate_camera(torch.full((1, 4, 4), 0.7), saccade_path(TRIANGLE, 9), frames=3).sum() == 0


def test_path_takes_equal_time_for_every_line():
    path = saccade_path([(0, 0), (2, 4), (2, 0)], 4)
    assert path.tolist() == [[0, 0], [1, 2], [2, 4], [2, 2], [2, 0]]


@pytest.mark.parametrize(
    ("images", "path", "options", "message"),
    [
        (torch.zeros(4, 4), torch.zeros(3, 2), {}, r"\[N, H, W\]"),
        (torch.zeros(1, 4, 4, dtype=torch.uint8), torch.zeros(3, 2), {}, "floating-point"),
        (torch.zeros(1, 4, 4), torch.zeros(3), {}, r"\[S \+ 1, 2\]"),
        (torch.zeros(1, 4, 4), torch.zeros(3, 2), {"frames": 3}, "finer path"),
        (torch.zeros(1, 4, 4), torch.zeros(3, 2), {"threshold": 0.0}, "positive"),
        (torch.zeros(1, 4, 4), torch.zeros(3, 2), {"dark": 0.0}, "positive"),
    ],
)
def test_says_what_does_not_fit(images, path, options, message):
    with pytest.raises(ValueError, match=message):
        simulate_camera(images, path, **{"frames": 1, **options})


def test_a_path_needs_two_corners():
    with pytest.raises(ValueError, match="two corners"):
        saccade_path([(0, 0)], 5)
