"""N-Caltech101: Caltech-101 pictures on a screen, seen by a camera that makes three saccades.

Orchard, Jayawant, Cohen, Thakor: "Converting static image datasets to spiking neuromorphic datasets using saccades",
Frontiers in Neuroscience 2015, arXiv 1507.07629. 8,709 recordings of 101 classes (Caltech's "Faces" was left out for
"Faces_easy"), up to 180 x 240 pixels, ATIS records. No official split: the papers train on the first 90 % of each
class in file order, rounded up.

How many recordings each class has is not part of this package, so the rule is applied to the files that are there. On
an incomplete tree it therefore cuts elsewhere; `saccade data check` says so, and the split's hash tells two trees
apart.
"""

from __future__ import annotations

from pathlib import Path

from saccade.data.events.sets.base import Archive, EventSet, Found, Recording, files_in, first_tree, folders_in
from saccade.data.events.splits import first_share, read_split

TREES = (("Caltech101", ".bin"), ("extract/Caltech101", ".bin"), ("", ".bin"), ("events_np", ".npz"))


def find(folder: Path) -> Found:
    """The recordings below `folder`, in any of the layouts."""
    tree = next((t for t in TREES if first_tree(folder, (t,), (f"*/image_*{t[1]}",))), None)
    if tree is None:
        return Found([], ())
    share = read_split("n-caltech101")["train_share"]
    classes = [c for c in folders_in(folder / tree[0]) if files_in(c, (tree[1],))]
    recordings = []
    for label, class_folder in enumerate(classes):
        files = files_in(class_folder, (tree[1],))
        for path, part in zip(files, first_share(len(files), share), strict=True):
            recordings.append(Recording(f"{class_folder.name}/{path.stem}", path, label, part))
    return Found(recordings, tuple(c.name for c in classes))


N_CALTECH101 = EventSet(
    name="n-caltech101",
    summary="Caltech-101 pictures, recorded, 180x240, 8,709, 101 classes",
    folder="NCaltech101",
    size=(180, 240),
    policy="pictures",
    find=find,
    layout="Caltech101/<class>/image_<number>.bin",
    archives=(Archive("Caltech101.zip", "66201824eabb0239c7ab992480b50ba3"),),
    page="https://www.garrickorchard.com/datasets/n-caltech101",
)
