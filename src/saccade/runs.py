"""What lies where in the folder of a run, and what looks into one, for whoever writes, reads or shows it."""

from __future__ import annotations

from dataclasses import dataclass

CONFIG, METRICS, RESULT = "config.json", "metrics.csv", "result.json"
WEIGHTS, CARD = "weights.safetensors", "card.json"
CHECKPOINT, TENSORBOARD = "resume.ckpt", "tensorboard"
#: the checkpoint before the last
CHECKPOINT_BEFORE = "resume.before.ckpt"
#: hashes of what a finished run consists of
CHECKSUMS = "checksums.json"
#: held by the process that trains
LOCK = ".lock"
#: where the result and weights of a run lie that ended, and was given more epochs
EARLIER = "earlier"
#: where what looks into a run puts its JSON, arrays and pictures
PROBE = "probe"
#: where the runs of an ablation lie in its folder
GRID_RUNS = "runs"


@dataclass(frozen=True)
class Probe:
    """Something that looks into a finished run and leaves probe/NAME.json and NAME.npz there."""

    name: str
    #: for a sentence: "gates"
    brings: str
    #: the command that writes it, behind `saccade`
    command: str
    #: "module:function" of one argument, the opened run, with default settings; None: another probe writes this too
    function: str | None
    #: whether it needs a network that classifies
    classifies: bool = False


PROBES: dict[str, Probe] = {
    probe.name: probe
    for probe in (
        Probe(
            "predictions",
            "answers on the test part",
            "report RUN --probe",
            "saccade.cli.report:probe_predictions",
            classifies=True,
        ),
        Probe("cam", "Grad-CAM maps", "cam RUN", "saccade.cli.cam:probe_cam", classifies=True),
        Probe("gates", "gates", "gates RUN", "saccade.cli.gates:probe_gates"),
        Probe("firing", "firing rates", "energy RUN", None),
        Probe("energy", "counted operations", "energy RUN", "saccade.cli.energy:probe_energy"),
    )
}
