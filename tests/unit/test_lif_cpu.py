"""The fused CPU kernel equals the reference: spikes bit for bit, gradients to the last bits."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from lif_cases import SPECS
from torch import Tensor

from saccade import ops
from saccade.nn import LIF, PLIF
from saccade.ops import LIFSpec, lif
from saccade.ops.lif import BACKENDS, active_backends, cpu
from saccade.ops.plumbing import threads as ops_threads

needs_numba = pytest.mark.skipif(cpu.unavailable() is not None, reason=str(cpu.unavailable()))


@pytest.fixture
def parallel(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two threads, for inputs of any size."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(ops_threads, "PARALLEL_FROM", 0)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def run(
    backend: str, x: Tensor, grad: Tensor, spec: LIFSpec, decay: float = 0.8, gain: float = 0.9, learned: bool = False
) -> list[Tensor]:
    """Spikes and all gradients. `x` is used as it lies in memory."""
    x = x.detach().requires_grad_()
    parameters = [torch.tensor(p, dtype=x.dtype, requires_grad=True) for p in (decay, gain)]
    spikes = lif(x, *(parameters if learned else (decay, gain)), spec, backend)
    wanted = [x, *parameters] if learned else [x]
    return [spikes.detach(), *torch.autograd.grad(spikes, wanted, grad)]


def assert_equal(x: Tensor, grad: Tensor, spec: LIFSpec, decay: float = 0.8, gain: float = 0.9) -> None:
    ours, theirs = (run(backend, x, grad, spec, decay, gain) for backend in ("cpu", "reference"))
    assert torch.equal(ours[0], theirs[0])
    # The sigmoid's exponential is the C library's here and a vectorised one in torch; all else rounds the same way.
    tolerance = (1e-6 if x.dtype == torch.float32 else 1e-14) if spec.surrogate.kind == "sigmoid" else 0
    torch.testing.assert_close(ours[1], theirs[1], rtol=0, atol=tolerance, equal_nan=True)


@needs_numba
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_every_neuron(spec: LIFSpec, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = 0.4 + torch.randn(6, 3, 501, dtype=dtype)
    assert_equal(x, torch.randn_like(x), spec)


@needs_numba
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_learned_decay_and_gain(spec: LIFSpec) -> None:
    torch.manual_seed(0)
    x = (0.4 + torch.randn(6, 5, 701)).double()
    grad = torch.randn(x.shape).double()
    theirs = run("reference", x, grad, spec, learned=True)
    for a, b in zip(run("cpu", x, grad, spec, learned=True), theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)
    single = run("cpu", x.float(), grad.float(), spec, learned=True)
    assert torch.equal(single[0].double(), theirs[0])
    summed = (theirs[1] * x).abs().sum().item()  # the terms cancel: their size, not the sum's, is what rounding sees
    torch.testing.assert_close(single[2].double(), theirs[2], rtol=0, atol=1e-7 * summed)
    torch.testing.assert_close(single[3].double(), theirs[3], rtol=0, atol=1e-7 * summed)


@needs_numba
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("threshold", [1.0, 0.2, 1 / 3])
def test_around_the_threshold(dtype: torch.dtype, threshold: float) -> None:
    """Currents a few units in the last place around every potential that decides, and what is no number."""
    edges = [torch.tensor(e, dtype=dtype) for e in (threshold, 0.0, threshold + 1, threshold - 1)]
    values = [torch.tensor([float("inf"), float("-inf"), float("nan"), 1e-310, -0.0], dtype=dtype)]
    for edge, direction in itertools.product(edges, (float("inf"), float("-inf"))):
        for _ in range(4):
            values.append(edge[None])
            edge = torch.nextafter(edge, torch.tensor(direction, dtype=dtype))
    candidates = torch.cat(values)
    x = torch.cartesian_prod(candidates, candidates, candidates).t().contiguous()
    for reset, detach, decay in itertools.product(("hard", "soft"), (True, False), (1.0, 0.5)):
        assert_equal(x, torch.ones_like(x), LIFSpec(threshold, reset, detach), decay, 1.0)


@needs_numba
@pytest.mark.parametrize("steps", [1, 2, 64, 1100])
@pytest.mark.parametrize("neurons", [1, 17, 1024, 1025])
def test_sizes(steps: int, neurons: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(steps, neurons)
    assert_equal(x, torch.randn_like(x), LIFSpec(0.5))


def layouts() -> dict[str, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5, 6, 7)
    return {
        "contiguous": x,
        "channels last": x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (4, 3)),
        "static image": x[:1].expand(4, -1, -1, -1, -1),
        "static channels last": x[0].contiguous(memory_format=torch.channels_last)[None].expand(4, -1, -1, -1, -1),
        "every other step": torch.randn(8, 3, 5, 6, 7)[::2],
        "batch first": torch.randn(3, 4, 5, 6, 7).transpose(0, 1),
        "cut out": torch.randn(4, 3, 5, 6, 9)[..., 1:8],
        "size-1 dimensions": torch.randn(4, 5, 1, 6, 1).transpose(1, 2),
        "offset": torch.randn(4 * 3 * 5 * 6 * 7 + 3)[3:].view(4, 3, 5, 6, 7),
    }


@needs_numba
@pytest.mark.parametrize("name", layouts())
def test_layouts(name: str) -> None:
    x = layouts()[name]
    grads = [torch.randn(x.shape), torch.randn(x.shape[:2] + (1,) * 3).expand(x.shape), torch.randn_like(x)]
    for grad in (*grads, grads[0][:1].expand(x.shape)):
        assert_equal(x, grad, LIFSpec(0.5))
    if name not in ("batch first", "cut out"):
        assert lif(x, 0.5, 1.0, LIFSpec(), "cpu")[0].stride() == x[0].stride()


@needs_numba
@pytest.mark.usefixtures("parallel")
@pytest.mark.parametrize("shape", [(6, 5000), (3, 2, 1024), (70, 3001)])
def test_threads_change_nothing(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x, grad = torch.randn(shape), torch.randn(shape)
    shared = run("cpu", x, grad, LIFSpec(), learned=True)
    torch.set_num_threads(1)
    for a, b in zip(run("cpu", x, grad, LIFSpec(), learned=True), shared, strict=True):
        assert torch.equal(a, b)


@needs_numba
@pytest.mark.usefixtures("parallel")
def test_python_threads_at_once() -> None:
    import numba

    x = torch.randn(6, 9000)
    expected = run("reference", x, x, LIFSpec())
    mask = numba.get_num_threads()
    equal: list[bool] = []

    def work() -> None:
        for _ in range(20):
            ours = run("cpu", x, x, LIFSpec())
            equal.append(all(torch.equal(a, b) for a, b in zip(ours, expected, strict=True)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert equal == [True] * 60
    run("cpu", x, x, LIFSpec())
    assert numba.get_num_threads() == mask


@needs_numba
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.usefixtures("parallel")
def test_in_a_forked_process() -> None:
    x = torch.randn(6, 9000)
    expected = lif(x, 0.5, 1.0, LIFSpec(), "cpu").numpy()  # from here on the parent's OpenMP threads exist
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        same = (lif(x, 0.5, 1.0, LIFSpec(), "cpu").numpy() == expected).all()
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


@needs_numba
def test_saves_its_input_alone() -> None:
    x = layouts()["channels last"].requires_grad_()
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        spikes = lif(x, 0.5, 1.0, LIFSpec(), "cpu")
    assert [t.data_ptr() for t in saved] == [x.data_ptr()]
    (grad,) = torch.autograd.grad(spikes.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError):
        grad.sum().backward()


class Tagged(Tensor):
    """A subclass, as torchvision's images are."""


def refused() -> dict[str, tuple[Any, str]]:
    return {
        "half": (torch.zeros(2, 3, dtype=torch.float16), "float16, not float32"),
        "meta": (torch.zeros(2, 3, device="meta"), "on meta"),
        "subclass": (torch.zeros(2, 3).as_subclass(Tagged), "Tagged"),
        "lazily negated": (torch.zeros(2, 3, dtype=torch.complex64).conj().imag, "plain dense"),
    }


@pytest.mark.parametrize("name", refused())
def test_refusals(name: str) -> None:
    x, reason = refused()[name]
    with pytest.raises(ValueError, match=reason):
        lif(x, 0.5, 1.0, LIFSpec(), "cpu")
    spikes = lif(x, 0.5, 1.0, LIFSpec())
    assert spikes.shape == x.shape
    assert spikes.dtype == x.dtype


def test_fake_tensors() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        assert lif(torch.zeros(2, 3), 0.5, 1.0, LIFSpec()).shape == (2, 3)


def test_a_watching_mode_sees_the_operations() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: list[str] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(str(func))
            return func(*args, **(kwargs or {}))

    with Watch():
        lif(torch.zeros(2, 3), 0.5, 1.0, LIFSpec())
    assert any("gt" in name for name in seen)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
def test_jit_trace_records_the_recurrence() -> None:
    x, other = torch.zeros(4, 30), 2 * torch.rand(4, 30)
    with torch.no_grad():
        traced = torch.jit.trace(lambda x: lif(x, 0.5, 1.0, LIFSpec()), x)
    assert torch.equal(traced(other), lif(other, 0.5, 1.0, LIFSpec()))


@pytest.mark.parametrize("neuron", [LIF(), PLIF()], ids=["LIF", "PLIF"])
@pytest.mark.parametrize("compiler", ["eager", "aot_eager"])
def test_compiled_model(neuron: LIF, compiler: str) -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    x = torch.randn(4, 2, 30, requires_grad=True)
    weight = torch.randn(30)
    results = []
    for function in (neuron, torch.compile(neuron, backend=compiler)):
        spikes = function(x)
        results.append([spikes, *torch.autograd.grad((spikes * weight).sum(), [x, *neuron.parameters()])])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    cpu.unavailable.cache_clear()
    try:
        assert active_backends()["cpu"] == "numba is not installed (pip install 'saccade[train]')"
        x = 2 * torch.rand(4, 30)
        assert torch.equal(LIF()(x), ops.lif(x, 0.5, 1.0, LIFSpec(), "reference"))
        with pytest.raises(ValueError, match=r"'cpu' cannot run here: numba is not installed .* backend='auto'"):
            LIF(backend="cpu")(x)
    finally:
        cpu.unavailable.cache_clear()


@needs_numba
def test_auto_takes_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(BACKENDS)[-1] == "reference"
    calls: list[str] = []
    monkeypatch.setattr(cpu, "_run", lambda direction, *_: calls.append(direction))
    LIF()(torch.randn(4, 30, requires_grad=True)).sum().backward()
    assert calls == ["forward", "backward"]
