"""The page's own camera and explanations, run by node, against the library's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

import saccade
from saccade.data.digits import TEST_EVERY, record
from saccade.data.split import split_every
from saccade.demo.build import EXPLAINED, HEAD, NETWORKS, PAGE, SWITCH
from saccade.export import leave_out_gates
from saccade.probe import grad_cam

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
STEPS = 5


def node(script: str, given: object, folder: Path) -> list:
    """What a module prints as JSON; `given` is there."""
    (folder / "given.json").write_text(json.dumps(given))
    (folder / "run.mjs").write_text(
        f"""
        import fs from "fs";
        import * as camera from {json.dumps((PAGE / "camera.js").as_uri())};
        import * as explain from {json.dumps((PAGE / "explain.js").as_uri())};
        const given = JSON.parse(fs.readFileSync("given.json"));
        {script}
        """
    )
    (folder / "package.json").write_text('{"type": "module"}')
    run = subprocess.run(["node", "run.mjs"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_camera_counts_every_event_of_the_library_s(tmp_path):
    digits = pytest.importorskip("sklearn.datasets").load_digits().images[::20] / 16
    script = f"console.log(JSON.stringify(given.map((digit) => Array.from(camera.record(digit, {STEPS})))))"
    found = torch.tensor(node(script, digits.reshape(len(digits), -1).tolist(), tmp_path))
    expected = record(torch.from_numpy(digits), STEPS, 16).float()
    assert expected.sum() > 10_000
    assert torch.equal(found.view_as(expected), expected)


def test_grad_cam_over_time_is_the_library_s(tmp_path):
    model = saccade.create_model(weights="digits-dta").double()
    x = torch.rand(STEPS, 1, 2, 16, 16, dtype=torch.float64) * 2
    fired: list[torch.Tensor] = []
    handle = model.get_submodule(EXPLAINED).register_forward_hook(lambda m, i, o: fired.append(o))
    expected = grad_cam(model, x, EXPLAINED)
    handle.remove()
    weights = model.get_submodule(HEAD).weight[int(expected.classes)]
    given = {"spikes": fired[0].flatten().tolist(), "dims": list(fired[0].shape), "weights": weights.tolist()}
    script = f"console.log(JSON.stringify(explain.cam(given.spikes, given.dims, given.weights, {STEPS})))"
    found = torch.tensor(node(script, given, tmp_path), dtype=torch.float64)
    assert expected.maps.max() > 0
    torch.testing.assert_close(found, expected.maps[:, 0].flatten(1))


def test_a_prediction_grows_by_the_mean_of_the_logits_so_far(tmp_path):
    logits = torch.randn(STEPS, 10, dtype=torch.float64)
    script = f"console.log(JSON.stringify(explain.growing(given, {STEPS}, 10)))"
    found = torch.tensor(node(script, logits.flatten().tolist(), tmp_path), dtype=torch.float64)
    so_far = logits.cumsum(0) / torch.arange(1, STEPS + 1)[:, None]
    torch.testing.assert_close(found, so_far.softmax(1))


def test_a_drawing_is_counted_as_the_digits_of_the_data_set_were(tmp_path):
    ink = torch.zeros(24, 24)
    ink[4:20, 10:12] = 1  # a vertical stroke of 16 by 2, twice as large on 32 bits
    script = "console.log(JSON.stringify(Array.from(camera.digitFrom(given, 24))))"
    found = torch.tensor(node(script, ink.flatten().int().tolist(), tmp_path)).view(8, 8)
    expected = torch.zeros(8, 8)
    expected[:, 3:5] = 0.5
    assert torch.equal(found, expected)


def answers(session, x: torch.Tensor, **switch: np.ndarray) -> torch.Tensor:
    """The logits of one sample."""
    return torch.from_numpy(session.run(["logits"], {"x": x.numpy(), **switch})[0])


@pytest.mark.parametrize("weights", NETWORKS)
def test_the_page_s_graphs_are_the_shipped_weights(weights):
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(str(PAGE / f"{weights}.onnx"), providers=["CPUExecutionProvider"])
    model = saccade.create_model(weights=weights)
    digits = pytest.importorskip("sklearn.datasets").load_digits().images[10:18] / 16
    x = record(torch.from_numpy(digits).float(), STEPS, 16).transpose(0, 1) / 4
    with torch.no_grad():
        expected = model(x).mean(0).argmax(1)
    switch = {} if weights == "digits-none" else {SWITCH: np.ones(1, np.float32)}
    found = [answers(session, x[:, i : i + 1], **switch) for i in range(len(digits))]
    assert len(set(expected.tolist())) > 4
    if switch:
        bare = leave_out_gates(model)
        for i in range(len(digits)):
            off = answers(session, x[:, i : i + 1], **{SWITCH: np.zeros(1, np.float32)})
            torch.testing.assert_close(off, bare(x[:, i : i + 1]).detach(), rtol=1e-4, atol=1e-4)
            assert not torch.allclose(off, found[i], atol=1e-3)
    assert [int(logits.mean(0).argmax()) for logits in found] == expected.tolist()
    networks = json.loads((PAGE / "networks.json").read_text())["networks"]
    known = {network["name"]: network for network in networks if network[SWITCH] != 0}
    assert known[weights]["accuracy"] == saccade.weights_card(weights)["score"]["test_accuracy"]


def test_the_page_s_samples_are_of_the_test_part():
    bunch = pytest.importorskip("sklearn.datasets").load_digits()
    _, test = split_every(torch.from_numpy(bunch.target).long(), TEST_EVERY)
    known = {(int(bunch.target[i]), *bunch.images[i].ravel().astype(int).tolist()) for i in test.tolist()}
    samples = json.loads((PAGE / "networks.json").read_text())["samples"]
    assert {(sample["label"], *sample["pixels"]) for sample in samples} <= known
    assert [sample["label"] for sample in samples] == [digit for digit in range(10) for _ in range(2)]
