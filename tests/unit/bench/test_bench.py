"""The benchmarks: what they compare is the same thing, and what they report adds up."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from saccade.bench import module, peer_network, peers
from saccade.bench.cases import INFERENCE, NETWORKS, SMALL, TRAINING, inference, multiply_adds, training
from saccade.bench.memory import CLEAR_REFS, peak_memory, rise
from saccade.bench.operation import measure_lif
from saccade.bench.plain import plain as run_plainly
from saccade.bench.roofline import measure_roofline
from saccade.bench.run import run_benchmarks
from saccade.bench.scaling import exponent
from saccade.bench.timing import interleave, summary


@pytest.mark.parametrize("placement", ["spikes", "current"])
@pytest.mark.parametrize("name", SMALL)
def test_the_plain_way_computes_what_the_network_does(name, placement):
    case = replace(SMALL[name], placement=placement)
    model, x = case.build().double(), case.input().double()
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, 0, 12 / layer.in_features**0.5)
    for mode in (True, False):
        model.train(mode)
        for layer in model.modules():
            if isinstance(layer, torch.nn.Dropout):
                layer.eval()
        plain = run_plainly(model)(x)
        assert plain.std() > 0
        torch.testing.assert_close(plain, model(x), rtol=0, atol=1e-9)


def test_every_way_runs_and_repeats_itself():
    case = SMALL["msresnet18 + DTA"]
    for way in INFERENCE:
        run = inference(case, way)
        assert torch.equal(run(), run()), way
    losses = {way: training(case, way)().item() for way in TRAINING}
    assert losses["plain"] == pytest.approx(losses["saccade"], abs=1e-3)


def test_counts_the_multiply_adds_of_the_papers_network():
    assert multiply_adds(replace(NETWORKS["msresnet18 + DTA"], batch=1)) == pytest.approx(13.76e9, rel=0.01)


@pytest.mark.skipif(not CLEAR_REFS.exists(), reason="needs Linux")
def test_memory_rises_by_what_a_step_allocates():
    size = 200_000_000
    assert rise(lambda: torch.ones(size // 4).sum()) == pytest.approx(size / 1e6, rel=0.1)


@pytest.mark.slow
@pytest.mark.skipif(not CLEAR_REFS.exists(), reason="needs Linux")
def test_a_fresh_process_says_what_a_step_needs():
    case = replace(SMALL["vggsnn_tet + TCJA"], batch=16, size=32)
    assert peak_memory(case, "training", "plain") > peak_memory(case, "inference", "plain") > 0


def test_operations_and_modules_give_a_row_each(monkeypatch):
    lif = measure_lif(2, (3, 2, 4, 4, 4), copy_GBs=10.0, peers=())
    for name in ("tcja", "dta"):
        assert lif[name]["forward"]["plain loop"]["speedup_median"] == 1
        assert {"saccade reference", "saccade deployed, bytes"} <= set(lif[name]["forward"])
        assert all("of_copy" in row for row in lif[name]["forward+backward"].values())
    small = {name: (attention, (3, 1, 8, 8, 8), *rest) for name, (attention, _, *rest) in module.MODULES.items()}
    monkeypatch.setattr(module, "MODULES", small)
    for entry in module.measure_modules(2).values():
        assert set(entry["forward"]) == {"plain", "saccade", "deployed"}


def test_a_library_that_is_missing_is_a_row_and_not_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "snntorch", None)
    monkeypatch.setitem(peers.PEERS, "broken", lambda: lambda x: x.nonsense())
    running, missing = peers.find_peers(torch.zeros(2, 1, 3), ("snntorch", "broken"))
    assert running == {}
    assert missing["snntorch"] == "not installed (snntorch)"
    assert missing["broken"].startswith("fails here (AttributeError")


def test_other_libraries_run_the_same_network():
    pytest.importorskip("spikingjelly", reason="SpikingJelly is not installed")
    shape = (3, 2, 2, 8)
    ours, theirs = (peer_network.build(way, shape).double() for way in ("saccade", "spikingjelly"))
    theirs.load_state_dict({f"net.{name}": value for name, value in ours.state_dict().items()}, strict=False)
    x = torch.randn(*shape, 8, dtype=torch.float64)
    out = ours(x)
    assert out.std() > 0
    torch.testing.assert_close(theirs(x), out, rtol=0, atol=1e-9)


def test_a_row_for_every_library(monkeypatch):
    monkeypatch.setattr(peer_network, "PEERS", ("spikingjelly", "snntorch", "norse", "nobody"))
    monkeypatch.setitem(peer_network.BUILDERS, "nobody", lambda shape: 1 / 0)
    result = peer_network.measure_peers(2, memory=False, shape=(2, 2, 2, 8))
    assert result["missing"]["nobody"].startswith("fails here (ZeroDivisionError")
    for kind, ours in peer_network.KINDS.items():
        there = {"spikingjelly", "snntorch", "norse"} - set(result["missing"])
        assert set(result[kind]) == there | set(ours)


def test_the_roofline_is_a_rate():
    roofline = measure_roofline(2, ((2, 16, 8),), 1 << 16)
    assert roofline["float32_GFLOPs"] > 0
    assert roofline["copy_GBs"] > 0


def test_exponents_of_power_laws():
    assert exponent((1, 2, 4, 8), [3 * n**1.5 for n in (1, 2, 4, 8)]) == 1.5
    assert exponent((1, 2), [0.0, 1.0]) is None


def test_ratios_are_taken_round_by_round():
    rows = summary({"a": [1.0, 2.0, 4.0], "b": [0.5, 1.0, 2.0]}, "a")
    assert (rows["b"]["speedup_q1"], rows["b"]["speedup_median"], rows["b"]["speedup_q3"]) == (2, 2, 2)
    order = []
    interleave({name: lambda name=name: order.append(name) for name in "xyz"}, rounds=3, warmup=0)
    assert order == list("xyzyzxzxy")


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match=r"Unknown benchmark 'network'\. Did you mean 'networks'"):
        run_benchmarks(["network"])
