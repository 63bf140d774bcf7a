"""CIFAR10-DVS: CIFAR-10 pictures that move on a screen, seen by a DVS128.

Li, Liu, Ji, Li, Shi: "CIFAR10-DVS: An Event-Stream Dataset for Object Classification", Frontiers in Neuroscience
2017. 1,000 recordings of each class, 128 x 128 pixels, AEDAT 2.0. No official split: the papers train on the first
900 of each class in file order. That is the order of the names as text (0, 1, 10, 100, 101, ...), so the test part is
909, 91, 910, ...
"""

from __future__ import annotations

from pathlib import Path

from saccade.data.events.sets.base import Archive, EventSet, Found, Recording, files_in, first_tree
from saccade.data.events.splits import TEST, TRAIN, read_split

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TREES = (("", ".aedat"), ("extract", ".aedat"), ("events_np", ".npz"))


def find(folder: Path) -> Found:
    """The recordings below `folder`, in any of the layouts."""
    tree = first_tree(folder, TREES, CLASSES)
    if tree is None:
        return Found([], CLASSES)
    test_numbers = set(read_split("cifar10-dvs")["test_numbers"])
    recordings, strange = [], []
    for label, name in enumerate(CLASSES):
        for path in files_in(tree[0] / name, (tree[1],)) if (tree[0] / name).is_dir() else ():
            number = path.stem.removeprefix(f"cifar10_{name}_")
            if not (number.isdecimal() and str(int(number)) == number and int(number) < 1000):
                strange.append(str(path))
                continue
            part = TEST if int(number) in test_numbers else TRAIN
            recordings.append(Recording(path.stem, path, label, part))
    remarks = tuple(f"{path} is no cifar10_<class>_<0 to 999>, so it is in no split, and left out." for path in strange)
    return Found(recordings, CLASSES, remarks)


CIFAR10_DVS = EventSet(
    name="cifar10-dvs",
    summary="CIFAR-10 pictures, recorded, 128x128, 9,000 + 1,000, 10 classes",
    folder="CIFAR10DVS",
    size=(128, 128),
    policy="dta",
    find=find,
    layout="<class>/cifar10_<class>_<number>.aedat",
    archives=tuple(
        Archive(f"{name}.zip", md5, f"https://ndownloader.figshare.com/files/{number}")
        for name, md5, number in (
            ("airplane", "0afd5c4bf9ae06af762a77b180354fdd", 7712788),
            ("automobile", "8438dfeba3bc970c94962d995b1b9bdd", 7712791),
            ("bird", "a9c207c91c55b9dc2002dc21c684d785", 7712794),
            ("cat", "52c63c677c2b15fa5146a8daf4d56687", 7712812),
            ("deer", "b6bf21f6c04d21ba4e23fc3e36c8a4a3", 7712815),
            ("dog", "f379ebdf6703d16e0a690782e62639c3", 7712818),
            ("frog", "cad6ed91214b1c7388a5f6ee56d08803", 7712842),
            ("horse", "e7cbbf77bec584ffbf913f00e682782a", 7712851),
            ("ship", "41c7bd7d6b251be82557c6cce9a7d5c9", 7712836),
            ("truck", "89f3922fd147d9aeff89e76a2b0b70a7", 7712839),
        )
    ),
)
