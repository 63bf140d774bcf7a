"""N-MNIST: MNIST digits on a screen, seen by a camera that makes three saccades.

Orchard, Jayawant, Cohen, Thakor: "Converting static image datasets to spiking neuromorphic datasets using saccades",
Frontiers in Neuroscience 2015, arXiv 1507.07629. 60,000 + 10,000 recordings, 34 x 34 pixels, about 0.3 s each. The
split is MNIST's, by folder. Files are numbered like MNIST's images, so the whole list of names is known.
"""

from __future__ import annotations

from pathlib import Path

from saccade.data.events.sets.base import Archive, EventSet, Found, Recording, files_in, first_tree
from saccade.data.events.splits import TEST, TRAIN

DIGITS = tuple(str(digit) for digit in range(10))
# SpikingJelly writes its own folders in small letters.
TREES = (("", ".bin"), ("extract", ".bin"), ("events_np", ".npz"))


def find(folder: Path) -> Found:
    """The recordings below `folder`, in any of the layouts."""
    tree = first_tree(folder, TREES, ("[Tt]rain", "[Tt]est"))
    if tree is None:
        return Found([], DIGITS)
    recordings = []
    for part in (TRAIN, TEST):
        for digit in DIGITS:
            for path in _files(tree[0], part, digit, tree[1]):
                recordings.append(Recording(f"{part}/{digit}/{path.stem}", path, int(digit), part))
    return Found(recordings, DIGITS)


def _files(tree: Path, part: str, digit: str, suffix: str) -> list[Path]:
    for name in (part.capitalize(), part):
        if (tree / name / digit).is_dir():
            return files_in(tree / name / digit, (suffix,))
    return []


NMNIST = EventSet(
    name="nmnist",
    summary="digits, recorded, 34x34, 60,000 + 10,000, 10 classes",
    folder="NMNIST",
    size=(34, 34),
    policy="digits",
    find=find,
    layout="{Train,Test}/<digit>/<number>.bin",
    archives=(
        Archive("Train.zip", "20959b8e626244a1b502305a9e6e2031"),
        Archive("Test.zip", "69ca8762b2fe404d9b9bad1103e97832"),
    ),
    page="https://www.garrickorchard.com/datasets/n-mnist",
)
