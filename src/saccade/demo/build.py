"""The files of the page, and how its networks were made from the shipped weights.

python -c "import saccade.demo.build; saccade.demo.build.build_networks()"
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from saccade.chain import Chain, LayerLink, NeuronLink, ResidualLink
from saccade.data.digits import TEST_EVERY
from saccade.data.split import split_every
from saccade.errors import require
from saccade.export import leave_out_gates, onnx
from saccade.export.onnx_file import OnnxFile
from saccade.models.sources import locate
from saccade.models.weights import load_weights, read_card
from saccade.probe.costs import FLOAT32
from saccade.recipes import get_recipe
from saccade.train.build import build_loaders

PAGE = Path(__file__).parent / "page"
#: weights and how the page calls them
NETWORKS = {"digits-none": "No attention", "digits-tcja": "TCJA", "digits-dta": "DTA"}
#: the input that switches the gates of a graph: 1, or 0 for ones in their place
SWITCH = "attention"
#: the layer whose spikes Grad-CAM explains: the last neuron, before the mean over the frame and the linear layer
EXPLAINED, HEAD = "neuron", "head"


def write_demo(out: Path) -> None:
    """Write the page and everything that it loads into a folder, for any web server."""
    shutil.copytree(PAGE, out, dirs_exist_ok=True)


def build_networks(out: Path = PAGE) -> None:
    """Write the networks' graphs, and what the page has to know of them, from the shipped weights.

    What lies in the package was made by this, and is made again when the weights or the page change.

    Raises:
        MissingExtraError: the extra "export" is not installed.
    """
    require("onnxscript", "export")
    networks = [entry for weights, title in NETWORKS.items() for entry in _networks(out, weights, title)]
    content = {"networks": networks, "samples": _samples(), "costs": {"mac": FLOAT32.mac_pj, "ac": FLOAT32.ac_pj}}
    (out / "networks.json").write_text(json.dumps(content) + "\n", encoding="utf-8")


def add_switch(path: Path, gates: list[str]) -> None:
    """Give a graph one more input, s: every gate g becomes s g + (1 - s), so that 1 leaves it and 0 makes it a 1."""
    library = require("onnx", "export")
    make = library.helper
    graph = library.load(path)
    nodes = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.input.append(make.make_tensor_value_info(SWITCH, library.TensorProto.FLOAT, [1]))
    graph.graph.initializer.append(make.make_tensor("one", library.TensorProto.FLOAT, [1], [1.0]))
    graph.graph.node.append(make.make_node("Sub", ["one", SWITCH], ["switched off"]))
    for node in nodes:
        for i, name in enumerate(node.input):
            if name in gates:
                node.input[i] = f"switched {name}"
        graph.graph.node.append(node)
        for gate in (name for name in node.output if name in gates):
            graph.graph.node.append(make.make_node("Mul", [gate, SWITCH], [f"kept {gate}"]))
            graph.graph.node.append(make.make_node("Add", [f"kept {gate}", "switched off"], [f"switched {gate}"]))
    library.checker.check_model(graph)
    library.save(graph, path)


def _networks(out: Path, weights: str, title: str) -> list[dict[str, Any]]:
    """A network as the page knows it; with gates, also the same weights with its gates switched off."""
    model, _ = load_weights(weights)
    card = read_card(locate(weights).card)
    network: Any = model
    file = onnx(model, out / f"{weights}.onnx", extras=["gates", "spikes"], batch=1)
    gates = [name for name in file.outputs if name.startswith("gate ")]
    if not gates:
        return [_network(network, weights, title, file, card["score"]["test_accuracy"], None)]
    add_switch(file.path, gates)
    bare = leave_out_gates(model)
    return [
        _network(network, weights, title, file, card["score"]["test_accuracy"], 1),
        _network(bare, weights, f"{title}, gates off", file, accuracy(bare), 0),
    ]


@torch.no_grad()
def accuracy(network: Any) -> float:
    """On the test part of the digits."""
    batches = build_loaders(get_recipe("digits-dta")).test
    found = [(network(x).mean(0).argmax(1) == labels) for x, labels in batches]
    return float(torch.cat(found).float().mean())


def _network(
    network: Any, weights: str, title: str, file: OnnxFile, test_accuracy: float, switch: int | None
) -> dict[str, Any]:
    return {
        "name": weights,
        "title": title,
        "file": file.path.name,
        "steps": network.steps,
        "accuracy": test_accuracy,
        SWITCH: switch,
        "neurons": [name.removeprefix("spikes ") for name in file.outputs if name.startswith("spikes ")],
        "gate": None if not switch else next(name for name in file.outputs if name.startswith("gate ")),
        "explained": EXPLAINED,
        "head": [[round(v, 6) for v in row] for row in network.get_submodule(HEAD).weight.tolist()],
        "layers": _layers(network),
    }


def _layers(network: Any) -> list[dict[str, Any]]:
    """Per layer the multiplications of one step were every input used, and what it reads.

    A layer that reads binary spikes adds a weight for each, one that reads other numbers multiplies.
    """
    sizes: dict[str, int] = {}
    handles = [
        link.core.register_forward_hook(lambda m, i, o, name=link.name: sizes.update({name: o[0, 0].numel()}))
        for link in network.chain.walk()
        if isinstance(link, LayerLink)
    ]
    H, W = network.input_size
    with torch.no_grad():
        network(torch.zeros(network.steps, 1, network.in_channels, H, W))
    for handle in handles:
        handle.remove()
    found: list[dict[str, Any]] = []

    def walk(chain: Chain, reads: str | None, binary: bool) -> tuple[str | None, bool]:
        for link in chain:
            if isinstance(link, LayerLink):
                macs = link.core.weight.numel() * (sizes[link.name] if link.core.weight.ndim == 4 else 1)
                found.append({"name": link.name, "macs": macs, "reads": reads, "binary": binary})
                reads, binary = None, False
            elif isinstance(link, NeuronLink):
                own = [name for name, module in network.named_modules() if module is link.neuron]
                reads, binary = own[0], link.gate is None
            elif isinstance(link, ResidualLink):
                walk(link.main, reads, binary)
                walk(link.shortcut, reads, binary)
                reads, binary = None, False
        return reads, binary

    walk(network.chain, "input", False)
    return found


def _samples() -> list[dict[str, Any]]:
    """Digits of the test part, 8 x 8 numbers from 0 to 16, two of each class."""
    bunch = require("sklearn.datasets", "train").load_digits()
    _, test = split_every(torch.from_numpy(bunch.target).long(), TEST_EVERY)
    chosen = [i for digit in range(10) for i in [i for i in test.tolist() if bunch.target[i] == digit][3:5]]
    return [{"label": int(bunch.target[i]), "pixels": bunch.images[i].ravel().astype(int).tolist()} for i in chosen]
