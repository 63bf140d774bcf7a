"""Event cameras: events per second from file to frames, and clips per second from cache to batch.

    python benchmarks/events.py --nmnist DATA [--samples FOLDER] [--rounds 9] [--recordings 200]

DATA is the folder that holds NMNIST/{Train,Test}; FOLDER, if given, holds `ncaltech101_faces_easy_0001.bin` and
`dvs128_aedat2_short.aedat`. The AEDAT 3.1 file is made here, of random events, since no real one may be passed on.

From file to frames, T frames of equally many events, one process and one thread each, best order for none:

    saccade          read_events + to_frames, in memory
    spikingjelly     its loader + integrate_events_by_fixed_frames_number, in memory
    tonic            its reader + transforms.ToFrame(n_event_bins=T), in memory
    saccade, to disk           hash, read, frames, write and check a frame cache
    spikingjelly, to disk      what its data set class does: events to .npz, .npz to frames, frames to .npz

From cache to batch [T, B, 2, H, W] float32, one epoch of N-MNIST in batches of 32:

    saccade in memory / on disk      make_loader over the frame cache
    spikingjelly                     its NMNIST(data_type="frame") in a DataLoader, 0 and 2 workers
    tonic                            DiskCachedDataset of ToFrame in a DataLoader, 0 workers

All read files that the system holds in memory: it is the code that is compared, not the disk. Before anything is timed,
the frames of all three are compared. Writes results/events.json.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import struct
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from saccade.atomic import write_text
from saccade.bench.timing import environment, interleave, summary
from saccade.data import DataRequest, load_data, make_loader
from saccade.data.events import FrameSpec, event_set, make_plan, prepare, read_events, to_frames
from saccade.data.events import load as event_loading

RESULT = Path(__file__).parent / "results" / "events.json"
Case = Callable[[], object]
BATCH = 32
# A single file would measure the fixed cost of a cache.
COPIES = 4


def synthetic_aedat31(path: Path, count: int = 100_000, packet: int = 4096) -> None:
    """A file like a trial of DVS128 Gesture."""
    draw = np.random.default_rng(0)
    words = draw.integers(0, 128, count) << 17 | draw.integers(0, 128, count) << 2 | draw.integers(0, 2, count) << 1 | 1
    times = np.sort(draw.integers(0, 2_000_000, count))
    pairs = np.stack([words, times], 1).astype("<u4")
    chunks = [b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"]
    for first in range(0, count, packet):
        part = pairs[first : first + packet]
        chunks += [struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, len(part), len(part), len(part)), part.tobytes()]
    path.write_bytes(b"".join(chunks))


class Source:
    """Files of one container, and how each library makes frames of them."""

    def __init__(self, name: str, paths: list[Path], size: tuple[int, int], steps: int) -> None:
        self.name, self.paths, self.size, self.steps = name, paths, size, steps
        self.events = sum(len(read_events(p, size)) for p in paths)

    def saccade(self, path: Path) -> np.ndarray:
        return to_frames(read_events(path, self.size), FrameSpec(self.steps)).frames

    def spikingjelly_events(self, path: Path) -> dict[str, np.ndarray]:
        from spikingjelly.datasets import cifar10_dvs, utils

        load = {"AEDAT 2.0": cifar10_dvs._load_origin_data, "AEDAT 3.1": utils.load_aedat_v3}
        return load.get(self.name.partition(",")[0], utils.load_ATIS_bin)(path)

    def spikingjelly(self, path: Path) -> np.ndarray:
        from spikingjelly.datasets import utils

        return utils.integrate_events_by_fixed_frames_number(
            self.spikingjelly_events(path), "number", self.steps, *self.size
        )

    def spikingjelly_to_disk(self, path: Path, folder: Path) -> None:
        from spikingjelly.datasets import base, utils

        stored = folder / f"{path.stem}.npz"
        utils.np_savez(stored, **self.spikingjelly_events(path))
        target = folder / "frames"
        target.mkdir(exist_ok=True)
        utils.integrate_events_file_to_frames_file_by_fixed_frames_number(
            base._load_events, str(stored), str(target), "number", self.steps, *self.size
        )

    def tonic(self, path: Path) -> np.ndarray:
        from tonic.transforms import ToFrame

        height, width = self.size
        return ToFrame((width, height, 2), n_event_bins=self.steps)(self.tonic_events(path))

    def tonic_events(self, path: Path) -> np.ndarray:
        from tonic import io as tonic_io

        if self.name.startswith("ATIS"):
            kinds = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])
            return tonic_io.read_mnist_file(path, kinds)
        # read_dvs_128 and read_dvs_ibm of tonic 1.7 fail (they unpack two of three values); these are their own lines
        version, start, _ = tonic_io.read_aedat_header_from_file(path)
        pairs = tonic_io.get_aer_events_from_file(path, version, start)
        address, t = pairs["address"], pairs["timeStamp"]
        if version < 3:
            return tonic_io.make_structured_array(address >> 8 & 0x7F, address >> 1 & 0x7F, t, address & 1)
        return tonic_io.make_structured_array(address >> 17 & 0x1FFF, address >> 2 & 0x1FFF, t, address >> 1 & 1)


def sources(arguments: argparse.Namespace, work: Path) -> list[Source]:
    recordings = sorted((arguments.nmnist / "NMNIST").rglob("*.bin"))
    random.Random(0).shuffle(recordings)
    found = [Source(f"ATIS, N-MNIST, {arguments.recordings} files", recordings[: arguments.recordings], (34, 34), 10)]
    if arguments.samples is not None:
        caltech = arguments.samples / "ncaltech101_faces_easy_0001.bin"
        found.append(Source("ATIS, N-Caltech101", COPIES * [caltech], (180, 240), 14))
        moving = arguments.samples / "dvs128_aedat2_short.aedat"
        found.append(Source("AEDAT 2.0, DVS128", COPIES * [moving], (128, 128), 10))
    synthetic_aedat31(work / "trial.aedat")
    found.append(Source("AEDAT 3.1, synthetic", [work / "trial.aedat"], (128, 128), 20))
    return found


def compare(source: Source) -> str:
    """That all make the same frames; tonic keeps the camera's own orientation, and drops a remainder."""
    path = source.paths[0]
    ours = source.saccade(path)
    assert (ours == source.spikingjelly(path)).all(), f"{source.name}: SpikingJelly makes other frames"
    return f"equal to SpikingJelly's; tonic counts {int(source.tonic(path).sum()):,} of {int(ours.sum()):,} events"


def file_to_frames(source: Source, work: Path, rounds: int) -> dict[str, Any]:
    folder = work / "spikingjelly"

    def over_all(make: Callable[[Path], object]) -> Case:
        return lambda: [make(path) for path in source.paths]

    def to_disk() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for path in source.paths:
            source.spikingjelly_to_disk(path, folder)

    cases = {
        "saccade": over_all(source.saccade),
        "spikingjelly": over_all(source.spikingjelly),
        "tonic": over_all(source.tonic),
        "saccade, to disk": cache_case(source, work),
        "spikingjelly, to disk": to_disk,
    }
    rows = summary(interleave(cases, rounds), "spikingjelly")
    disk = rows["spikingjelly, to disk"]["ms_median"] / rows["saccade, to disk"]["ms_median"]
    for row in rows.values():
        row["events_per_second"] = float(f"{source.events / row['ms_median'] * 1e3:.4g}")
    return {
        "files": len(source.paths),
        "events": source.events,
        "steps": source.steps,
        "frames": compare(source),
        "rows": rows,
        "to_disk_speedup": float(f"{disk:.4g}"),
    }


def cache_case(source: Source, work: Path) -> Case:
    """A frame cache of the source's files, as a folder of own recordings."""
    root = work / "own" / source.name.replace(" ", "_").replace(",", "")
    folder = root / "recordings" / "train" / "a"
    folder.mkdir(parents=True)
    (root / "recordings" / "test").mkdir()
    for number, path in enumerate(source.paths):
        shutil.copy(path, folder / f"{number}{path.suffix}")
    height, width = source.size
    (root / "recordings" / "sensor.json").write_text(json.dumps({"height": height, "width": width}))

    def case() -> None:
        shutil.rmtree(root / "frames", ignore_errors=True)
        prepare(make_plan(event_set("recordings"), root, FrameSpec(source.steps)), workers=1)

    return case


class TonicClips(Dataset):
    """N-MNIST through tonic's reader and ToFrame; its own class wants all 70,000 files."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        path = self.source.paths[index]
        return self.source.tonic(path), int(path.parent.name)


def cache_to_batch(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    from tonic import DiskCachedDataset

    root = work / "batches"
    (root / "NMNIST").mkdir(parents=True)
    for part in ("Train", "Test"):
        (root / "NMNIST" / part).symlink_to((arguments.nmnist / "NMNIST" / part).resolve())
    request = DataRequest("nmnist", root, steps=10, augment="none")
    in_memory = load_data(request).train
    event_loading.RESIDENT_BYTES = 0
    on_disk = load_data(request).train
    clips = len(in_memory)
    theirs = spikingjelly_frames(arguments, work)
    paths = sorted((arguments.nmnist / "NMNIST" / "Train").rglob("*.bin"))
    tonic = DiskCachedDataset(TonicClips(Source("ATIS", paths, (34, 34), 10)), cache_path=str(work / "tonic"))

    def ours(dataset: Dataset) -> Case:
        loader = make_loader(dataset, batch_size=BATCH, train=True, temporal=True)
        return lambda: sum(x.shape[1] for x, _ in loader)

    def others(dataset: Dataset, workers: int) -> Case:
        keep = {"persistent_workers": True} if workers else {}
        loader = DataLoader(dataset, BATCH, shuffle=True, num_workers=workers, drop_last=True, **keep)
        return lambda: sum(x.transpose(0, 1).contiguous().float().shape[1] for x, _ in loader)

    cases = {
        "saccade in memory": ours(in_memory),
        "saccade on disk": ours(on_disk),
        "spikingjelly, 0 workers": others(theirs, 0),
        "spikingjelly, 2 workers": others(theirs, 2),
        "tonic, 0 workers": others(tonic, 0),
    }
    rows = summary(interleave(cases, arguments.rounds), "spikingjelly, 0 workers")
    used = clips // BATCH * BATCH
    for row in rows.values():
        row["clips_per_second"] = float(f"{used / row['ms_median'] * 1e3:.4g}")
    return {"clips": used, "batch": BATCH, "shape": list(in_memory.store.shape), "rows": rows}


def spikingjelly_frames(arguments: argparse.Namespace, work: Path) -> Dataset:
    """SpikingJelly's N-MNIST of the same files, from after the unpacking: it would ask for the whole archives."""
    from spikingjelly.datasets import NMNIST

    root = work / "sj"
    (root / "events_np").mkdir(parents=True)
    with contextlib.redirect_stdout(io.StringIO()):
        NMNIST.create_raw_from_extracted(arguments.nmnist / "NMNIST", root / "events_np")
        return NMNIST(str(root), train=True, data_type="frame", frames_number=10, split_by="number")


def report(result: dict[str, Any]) -> None:
    for name, part in result["file_to_frames"].items():
        print(f"{name}: {part['events']:,} events, T={part['steps']}; {part['frames']}")
        for case, row in part["rows"].items():
            print(f"  {case:24}{row['events_per_second'] / 1e6:9.2f} M events/s {row['speedup_median']:8.2f}x")
        print(f"  to disk, saccade against spikingjelly: {part['to_disk_speedup']:.1f}x")
    part = result["cache_to_batch"]
    print(f"cache to batch, N-MNIST, B={part['batch']}, clips {part['shape']}")
    for case, row in part["rows"].items():
        print(f"  {case:24}{row['clips_per_second']:9.0f} clips/s {row['speedup_median']:8.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nmnist", type=Path, default=Path(os.environ.get("SACCADE_DATA", "data")))
    parser.add_argument("--samples", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--recordings", type=int, default=200)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # SpikingJelly's and tonic's
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        result = {"rounds": arguments.rounds, **environment(torch.device("cpu"))}
        result["file_to_frames"] = {s.name: file_to_frames(s, work, arguments.rounds) for s in sources(arguments, work)}
        result["cache_to_batch"] = cache_to_batch(arguments, work)
    report(result)
    RESULT.parent.mkdir(exist_ok=True)
    write_text(RESULT, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
