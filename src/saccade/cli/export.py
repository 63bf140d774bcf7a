"""saccade export: a trained network in the formats of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saccade.cli.arguments import check_count
from saccade.cli.inside import InsideArguments, OpenRun, check_classifies, open_run, parse_inside
from saccade.errors import require

if TYPE_CHECKING:
    from saccade.export import OnnxFile

ROUNDS = 15


@dataclass(kw_only=True)
class ExportArguments(InsideArguments):
    """Which run, and in which form."""

    to: Literal["onnx", "nir"] = "onnx"
    """Format."""
    out: Path | None = None
    """File to write; default: model.onnx or model.nir in the run's folder."""
    gates: Literal["refuse", "frozen", "left out"] = "refuse"
    """NIR has no gates: frozen to their means over the samples, or left out; what that costs is printed."""
    step: bool = False
    """One step of a stream, with the state as inputs and outputs, instead of all steps."""
    extras: tuple[Literal["gates", "rates", "spikes"], ...] = ()
    """Outputs beside the logits: gates, firing rates of every layer, spikes of every layer."""
    precision: Literal["float", "int8"] = "float"
    """int8: weights and activations in 8 bits, scaled by the samples."""
    samples: int = 64
    """Test samples, evenly spaced, on which the graph is compared with the network."""


def main(words: Sequence[str]) -> int:
    """Write the graph of every run, and say whether it answers like the network."""
    text = "Write a trained network for other programs, and compare what it answers there with what it answers here."
    arguments = parse_inside(ExportArguments, words, "export", text)
    check_count("samples", arguments.samples)
    if arguments.out is not None and len(arguments.runs) > 1:
        raise ValueError(f"--out names one file, but {len(arguments.runs)} runs are given. Leave it out.")
    for path in arguments.runs:
        run = open_run(path, arguments)
        check_classifies(run)
        print(_to_onnx(run, arguments) if arguments.to == "onnx" else _to_nir(run, arguments))
    return 0


def _to_nir(run: OpenRun, arguments: ExportArguments) -> str:
    from saccade.export import freeze_gates, leave_out_gates, nir
    from saccade.tables import accuracy_text, format_table

    if arguments.step or arguments.extras or arguments.precision != "float":
        raise ValueError("--step, --extras and --precision are of ONNX: a NIR graph is one step, in floating point.")
    path = arguments.out or run.path / "model.nir"
    model, calibration = run.model.cpu(), [x.cpu() for x in run.inputs(arguments.samples)]
    H, W = calibration[0].shape[-2:]
    graph = nir(model, path, size=(int(H), int(W)), gates=arguments.gates, calibration=calibration)
    written = [("file", str(path)), ("nodes", f"{len(graph.nodes)}"), ("dt", f"{graph.metadata['dt']:g} s")]
    networks = {"network": model}
    if arguments.gates == "frozen":
        networks["with frozen gates, as written"] = freeze_gates(model, calibration)
    elif arguments.gates == "left out":
        networks["without gates, as written"] = leave_out_gates(model)
    total = len(run.dataset)
    scores = [(name, accuracy_text(_accuracy(network, run), total)) for name, network in networks.items()]
    return f"{format_table(written)}\n\nTest accuracy\n{format_table(scores)}\n"


def _accuracy(network: Any, run: OpenRun) -> float:
    """On the whole test part."""
    import torch

    right = 0
    with torch.inference_mode():
        for x, labels in run.batches():
            right += int((network(x.cpu()).mean(0).argmax(1) == labels.cpu()).sum())
    return right / len(run.dataset)


def _to_onnx(run: OpenRun, arguments: ExportArguments) -> str:
    import torch

    from saccade.export import onnx
    from saccade.tables import format_table

    require("onnxruntime", "export")
    path = arguments.out or run.path / "model.onnx"
    model = run.model.cpu()
    x = torch.cat([x.cpu() for x in run.inputs(arguments.samples)], dim=1 if run.info.temporal else 0)
    file = onnx(
        model,
        path,
        size=(int(x.shape[-2]), int(x.shape[-1])),
        image=not run.info.temporal and not arguments.step,
        step=arguments.step,
        extras=arguments.extras,
        precision=arguments.precision,
        calibration=x,
    )
    rows = [
        ("file", str(path)),
        ("size", f"{path.stat().st_size / 1e6:.2f} MB"),
        *((f"input {name}", " x ".join("batch" if n == -1 else str(n) for n in sizes) or "a number")
          for name, sizes in file.inputs.items()),
        ("outputs", ", ".join(file.outputs)),
    ]  # fmt: skip
    return format_table(rows) + "\n" + ("" if arguments.step else _compared(model, file, x))


def _compared(model: object, file: OnnxFile, x: object) -> str:
    """How many predictions agree, and how long one sample takes."""
    import torch

    from saccade import deploy
    from saccade.bench.timing import interleave, summary
    from saccade.tables import format_table

    assert isinstance(model, torch.nn.Module)
    assert isinstance(x, torch.Tensor)
    runtime = require("onnxruntime", "export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(str(file.path), options, providers=["CPUExecutionProvider"])

    def graph(x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run(["logits"], {"x": x.numpy()})[0])

    with torch.inference_mode():
        there, here = graph(x), model(x)
        same = int((there.mean(0).argmax(1) == here.mean(0).argmax(1)).sum())
        one = x[:, :1].contiguous() if x.ndim == 5 else x[:1]
        deployed = deploy(model)
        cases = {"ONNX Runtime": lambda: graph(one), "torch": lambda: model(one), "deploy": lambda: deployed(one)}
        times = summary(interleave(cases, ROUNDS), "torch")
    total = here.shape[1]
    rows = format_table([(name, f"{found['ms_median']:.3f} ms") for name, found in times.items()])
    most = float((there - here).abs().max())
    return (
        f"{same} of {total} predictions are the same; logits differ by {most:.2g} at most.\n\n"
        f"One sample, {torch.get_num_threads()} threads, median of {ROUNDS} interleaved rounds\n{rows}\n"
    )
