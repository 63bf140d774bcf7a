"""One process of a run: trains one case after the other, as the environment's RANK of WORLD_SIZE.

    RANK=0 WORLD_SIZE=2 LOCAL_RANK=0 ... python rank_driver.py FOLDER PORT CASE CASE ...

Case n meets the other processes at PORT + n and leaves its run in FOLDER/CASE. Recordings of the event sets are
read from $SACCADE_DATA. Without a case, those are written into FOLDER.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.data import Dataset

from saccade.data import DataInfo, DataSplits, ImageTensors, load_data, register_data
from saccade.data.augment import Jitter
from saccade.recipes import get_recipe
from saccade.train import build
from saccade.train.config import Experiment
from saccade.train.run import train

CLASSES = 4
SAMPLES = 82
#: name -> epochs that make 20 steps
EVENT_SETS = {"nmnist": 4, "cifar10-dvs": 4, "dvs128-gesture": 10, "n-caltech101": 8}


class OneByOne(Dataset):
    """Samples that are asked for one at a time, each with a draw of its own, as those in files are."""

    def __init__(self, whole):
        self.whole = whole

    def __len__(self):
        return len(self.whole)

    def __getitem__(self, index):
        return self.whole[index]


def random_data(request):
    """Batches with something to learn, smaller than any real set; "files" in the root hands them out one by one."""
    if request.name in EVENT_SETS or (request.name == "digits" and request.size is None):
        return load_data(request)
    pictures = request.symmetric or request.name != "digits"
    side = request.size or 12
    shape = (1, side, side) if pictures else (request.steps, 2, side, side)
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(SAMPLES) % CLASSES
    samples = torch.randint(256, (SAMPLES, *shape), dtype=torch.uint8, generator=draw)
    samples = samples // 2 + (32 * labels).to(torch.uint8).view(-1, *[1] * len(shape))
    augment = Jitter(2, mirror=True) if request.augment != "none" else None
    parts = [ImageTensors(samples, labels, (96.0,), (16.0,), a) for a in (augment, None)]
    info = DataInfo("random", CLASSES, shape[-3], (side, side), not pictures, tuple("abcd"))
    learned = OneByOne(parts[0]) if str(request.root) == "files" else parts[0]
    return DataSplits(info, learned, ImageTensors(samples[:11], labels[:11], (96.0,), (16.0,)))


BASE = replace(
    get_recipe("digits-dta"),
    **{"model": "msresnet18", "width": 0.08, "steps": 2, "attention": "dta", "batch_size": 8, "epochs": 2, "lr": 0.05},
    **{"optimizer": "sgd", "warmup_epochs": 0, "precision": "float64", "device": "cpu", "sync_batchnorm": True},
    **{"mix": "none", "cutout": 0, "label_smoothing": 0.0, "loss": "ce", "ema_decay": 0.0, "max_batches": None},
    **{"attention_options": {}, "model_options": {}, "validation": 0.0, "image_size": 12, "augment": "standard"},
)
DROPOUT = {"model": "fashion_net", "image_size": 12, "width": 0.2, "steps": 4, "optimizer": "adamw", "lr": 0.05}
DROPOUT["model_options"] = {"dropout": 0.2, "output_neuron": False}
CASES: dict[str, Experiment] = {
    "ce": BASE,
    "tet-in-parts": replace(BASE, loss="tet", attention="tcja", accumulate=2, label_smoothing=0.1),
    "smse-dropout": replace(BASE, loss="smse", attention="none", **DROPOUT),
    "mse": replace(BASE, loss="mse", attention="cbam", steps=1),
    "cutmix-average": replace(BASE, mix="cutmix", cutout=4, ema_decay=0.8, optimizer="adamw", lr=0.01),
    "mixup-files": replace(BASE, mix="mixup", data="folder", data_root="files"),
    "checkpointing": replace(BASE, grad_checkpointing=True, gradient_clip=0.5),
    "vae-mmd": replace(
        get_recipe("mnist-fsvae"), width=0.1, steps=7, batch_size=8, epochs=2, precision="float64", device="cpu",
        sync_batchnorm=True, image_size=32, model_options={"latent": 8, "k": 4}, data="random",
    ),
}  # fmt: skip
CASES["vae-kld"] = replace(CASES["vae-mmd"], loss="kld")
CASES["digits"] = replace(BASE, image_size=None, max_batches=10)  # the built-in set itself
CASES |= {name: replace(BASE, data=name, image_size=32, epochs=epochs) for name, epochs in EVENT_SETS.items()}


def write_recordings(folder: Path) -> None:
    """A few random recordings of every event set, in its own format."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "events"))
    import event_files

    for name in EVENT_SETS:
        event_files.TREES[name](folder)


if __name__ == "__main__":
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    if not sys.argv[3:]:
        write_recordings(folder)
    build.load_data = random_data
    register_data("random", "random pictures", None)(random_data)
    for number, case in enumerate(sys.argv[3:]):
        if "MASTER_ADDR" in os.environ:
            os.environ["MASTER_PORT"] = str(port + number)
        train(CASES[case], folder / case)
