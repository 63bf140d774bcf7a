"""Your own recordings: a folder per class, in any container that `read_events` takes.

recordings/<class>/<recording>                    the first 90 % of each class in file order train, the rest test
recordings/{train,test}/<class>/<recording>       your own split
recordings/sensor.json                            {"height": 128, "width": 128}
"""

from __future__ import annotations

from pathlib import Path

from saccade.data.events.readers import SUFFIXES
from saccade.data.events.recording import RecordingError, Size
from saccade.data.events.sets.base import EventSet, Found, Recording, files_in, folders_in
from saccade.data.events.splits import TEST, TRAIN, first_share
from saccade.files import FileError, read_object

TRAIN_SHARE = 0.9
SENSOR = "sensor.json"


def find(folder: Path) -> Found:
    """The recordings below `folder`, in either layout."""
    top = [f.name for f in folders_in(folder)]
    if {TRAIN, TEST} <= set(top):
        names = sorted({c.name for part in (TRAIN, TEST) for c in folders_in(folder / part)})
        recordings = []
        for part in (TRAIN, TEST):
            for label, name in enumerate(names):
                for path in files_in(folder / part / name, SUFFIXES) if (folder / part / name).is_dir() else ():
                    recordings.append(Recording(f"{part}/{name}/{path.name}", path, label, part))
        return Found(recordings, tuple(names))
    recordings = []
    for label, name in enumerate(top):
        files = files_in(folder / name, SUFFIXES)
        for path, part in zip(files, first_share(len(files), TRAIN_SHARE), strict=True):
            recordings.append(Recording(f"{name}/{path.name}", path, label, part))
    return Found(recordings, tuple(top))


def find_size(folder: Path) -> Size:
    """(height, width) from sensor.json."""
    path = folder / SENSOR
    try:
        values = read_object(path)
        height, width = values["height"], values["width"]
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} is missing. Most containers do not say how large the sensor is: write "
            '{"height": 128, "width": 128} (your numbers) into that file.'
        ) from None
    except (FileError, KeyError) as error:
        raise RecordingError(path, f'it must hold {{"height": ..., "width": ...}} ({error!r}).') from None
    if not (isinstance(height, int) and isinstance(width, int) and 1 <= height <= 2**15 and 1 <= width <= 2**15):
        raise RecordingError(path, f"height and width must be whole numbers of pixels, not {height!r} and {width!r}.")
    return height, width


RECORDINGS = EventSet(
    name="recordings",
    summary="your own recordings, a folder per class",
    folder="recordings",
    size=None,
    policy="gestures",
    find=find,
    layout="<class>/<recording>.{bin,aedat,aedat4,dat,npz} and sensor.json",
    find_size=find_size,
)
