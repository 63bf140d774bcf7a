"""The Triton LIF kernels equal the reference: on a GPU if there is one, else in Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from typing import Any

import pytest
import torch
from lif_cases import SPECS, SURROGATES
from torch import Tensor

from saccade import ops
from saccade.nn import PLIF
from saccade.ops import LIFSpec, lif
from saccade.ops.lif import triton
from saccade.ops.plumbing.ran import say_once, take_ran

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytestmark = pytest.mark.skipif(triton.unavailable() is not None, reason=str(triton.unavailable()))


def run(backend: str, x: Tensor, grad: Tensor, spec: LIFSpec, learned: bool = False) -> list[Tensor]:
    """Spikes and all gradients; `x` is used as it lies in memory."""
    x = x.detach().requires_grad_()
    parameters = [torch.tensor(p, device=x.device, requires_grad=True) for p in (0.8, 0.9)]
    spikes = lif(x, *(parameters if learned else (0.8, 0.9)), spec, backend)
    wanted = [x, *parameters] if learned else [x]
    return [spikes.detach(), *torch.autograd.grad(spikes, wanted, grad)]


def assert_equal(x: Tensor, grad: Tensor, spec: LIFSpec, learned: bool = False) -> None:
    ours, theirs = (run(backend, x, grad, spec, learned) for backend in ("triton", "reference"))
    assert ours[0].dtype == x.dtype
    assert torch.equal(ours[0], theirs[0])
    # stored in half precision, the same gradient may fall on either neighbour (the interpreter cuts off, it does not
    # round); the learned gradients are sums over all neurons, in another order
    tolerance = {torch.float32: 1e-5, torch.float16: 2**-10, torch.bfloat16: 2**-7}[x.dtype]
    torch.testing.assert_close(ours[1], theirs[1], rtol=tolerance, atol=1e-6)
    for a, b in zip(ours[2:], theirs[2:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * x.numel() ** 0.5)


def draw(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x, grad = (torch.randn(shape, generator=generator) for _ in range(2))
    return (x + 0.5).to(DEVICE, dtype), grad.to(DEVICE, dtype)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_equals_the_reference(spec: LIFSpec, learned: bool) -> None:
    x, grad = draw(4, 3, 41)
    assert_equal(x, grad, spec, learned)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_half_precision_has_a_float32_membrane(dtype: torch.dtype, reset: str) -> None:
    x, grad = draw(12, 50, dtype=dtype)
    assert_equal(0.1 * x, grad, LIFSpec(0.7, reset), learned=True)


@pytest.mark.parametrize(("steps", "neurons"), [(1, 1), (2, 513), (5, 127), (32, 33)])
def test_any_number_of_steps_and_neurons(steps: int, neurons: int) -> None:
    x, grad = draw(steps, neurons)
    assert_equal(x, grad, LIFSpec(0.7))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("steps", [*range(1, 33), triton.MAX_STEPS])
def test_every_number_of_steps(steps: int, dtype: torch.dtype) -> None:
    for seed, spec in enumerate(SPECS[steps % len(SURROGATES) :: len(SURROGATES)]):  # both resets, detached or not
        x, grad = draw(steps, 3, 1 + 37 * (seed + steps) % 89, dtype=dtype, seed=seed)
        assert_equal(x, grad, spec, learned=seed % 2 == 0)


def test_what_is_at_the_threshold_is_silent_in_both() -> None:
    """0.1 * 7 rounds to 0.7 times one tick or not: a fused multiply-add would not round in between."""
    x = (torch.arange(1, 4001, device=DEVICE) / 1000).repeat(4, 1)
    for threshold in (0.3, 0.7, 1.0):
        spec = LIFSpec(threshold, "soft")
        assert torch.equal(lif(x, 0.3, 0.7, spec, "triton"), lif(x, 0.3, 0.7, spec, "reference"))


@pytest.mark.parametrize(
    "arrange",
    [
        lambda x: x.transpose(2, 4).contiguous().transpose(2, 4),
        lambda x: x.flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, x.shape[:2]),
        lambda x: x[0].expand_as(x),
        lambda x: x[..., ::2],
        lambda x: x[:, 1:],
    ],
    ids=["permuted", "channels last", "static image", "strided", "part of a batch"],
)
def test_any_layout(arrange: Any) -> None:
    x, grad = draw(3, 2, 5, 4, 6)
    x = arrange(x)
    assert_equal(x, grad[..., : x.shape[-1]][:, : x.shape[1]], LIFSpec(0.7), learned=True)
    assert_equal(x, grad.transpose(2, 4).contiguous().transpose(2, 4)[..., : x.shape[-1]][:, : x.shape[1]], LIFSpec())


def test_channels_last_stays_channels_last() -> None:
    x = draw(6, 5, 4, 3)[0].to(memory_format=torch.channels_last).unflatten(0, (2, 3))
    assert lif(x, 0.5, 1.0, LIFSpec(), "triton").stride() == x.stride()


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (4, 0, 2, 3, 3), (1, 1)])
def test_empty_and_single(shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape, device=DEVICE, requires_grad=True)
    lif(x, 0.5, 1.0, LIFSpec(), "triton").sum().backward()
    assert x.grad is not None
    assert x.grad.shape == shape


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")  # numpy's, in the interpreter
def test_what_is_not_finite_is_treated_as_in_the_reference() -> None:
    x = torch.tensor([float("inf"), float("-inf"), float("nan"), 3e38], device=DEVICE).repeat(4, 1)
    for reset in ("hard", "soft"):
        spec = LIFSpec(0.7, reset)
        assert torch.equal(lif(x, 0.8, 0.9, spec, "triton"), lif(x, 0.8, 0.9, spec, "reference"))


def test_saves_its_input_alone() -> None:
    x = draw(4, 10)[0].requires_grad_()
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        lif(x, 0.5, 1.0, LIFSpec(), "triton")
    assert [t.data_ptr() for t in saved] == [x.data_ptr()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # opcheck's own
@pytest.mark.parametrize("learned", [False, True])
def test_is_a_torch_operator(learned: bool) -> None:
    x = draw(3, 2, 4)[0].requires_grad_()
    at = [torch.tensor(p, device=DEVICE, requires_grad=True) for p in (0.8, 0.9)] if learned else [None, None]
    torch.library.opcheck(torch.ops.saccade.lif, (x, *at, 0.8, 0.9, *triton.flat_spec(LIFSpec(0.7))))


@pytest.mark.slow
def test_compiles_in_one_graph_and_under_autocast() -> None:
    neuron = PLIF(backend="triton").to(DEVICE)
    linear = torch.nn.Linear(10, 10).to(DEVICE)

    def forward(x: Tensor) -> Tensor:
        return neuron(linear(x)).sum()

    x = draw(4, 3, 10)[0]
    results = []
    with torch.autocast(DEVICE, torch.bfloat16):
        for run_it in (forward, torch.compile(forward, fullgraph=True, backend="aot_eager")):
            neuron.zero_grad()
            run_it(x).backward()
            results.append(neuron.w.grad)
    assert results[0] != 0
    torch.testing.assert_close(results[0], results[1])


def test_refusals_say_why() -> None:
    x = torch.zeros(4, 3, device=DEVICE)
    with pytest.raises(ValueError, match=r"'triton' cannot run here: the input is torch.float64"):
        lif(x.double(), 0.5, 1.0, LIFSpec(), "triton")
    with pytest.raises(ValueError, match="65 steps, and a kernel's registers hold 64"):
        lif(torch.zeros(65, 1, device=DEVICE), 0.5, 1.0, LIFSpec(), "triton")
    assert "2^31" in str(triton.unsupported(torch.empty(1, device=DEVICE).expand(2, 1 << 30), 0.5, 1.0, LIFSpec()))
    with pytest.raises(ValueError, match="vmap"):
        torch.func.vmap(lambda x: lif(x, 0.5, 1.0, LIFSpec(), "triton"))(torch.zeros(2, 4, 3, device=DEVICE))


@pytest.mark.skipif(DEVICE == "cuda", reason="auto takes the GPU's kernel here")
def test_auto_never_interprets() -> None:
    take_ran()
    lif(torch.zeros(4, 3, dtype=torch.bfloat16), 0.5, 1.0, LIFSpec())
    assert "triton" not in take_ran()
    lif(torch.zeros(4, 3), 0.5, 1.0, LIFSpec(), "triton")
    assert take_ran() == ["triton"]
    assert ops.active_backends()["triton"] == "active"


NO_GPU = """
import torch
from saccade.ops import LIFSpec, active_backends, lif
try:
    lif(torch.zeros(4, 3), 0.5, 1.0, LIFSpec(), "triton")
except ValueError as error:
    print(error)
print(active_backends()["triton"])
"""


@pytest.mark.skipif(DEVICE == "cuda", reason="there is a GPU")
def test_without_gpu_and_interpreter_it_says_so() -> None:
    env = {**os.environ, "TRITON_INTERPRET": "0"}
    done = subprocess.run([sys.executable, "-c", NO_GPU], capture_output=True, text=True, env=env)
    first, second = done.stdout.splitlines()
    assert "the input is on cpu, and Triton's interpreter is off (TRITON_INTERPRET=1 turns it on)" in first
    assert "there is no CUDA GPU" in second


def test_a_fall_back_is_said_once() -> None:
    with pytest.warns(RuntimeWarning, match="a line of this test"):
        say_once("a line of this test")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        say_once("a line of this test")
