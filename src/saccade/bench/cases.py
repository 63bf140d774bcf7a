"""The networks that are timed, at the sizes of their papers or small enough for a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from saccade.bench.plain import plain
from saccade.engines.inference import deploy
from saccade.models import Classifier, create_model
from saccade.ops.plumbing import bfloat

PRECISIONS = ("float", "exact", "fast", "int8")
#: ways that call the network's modules one by one: neurons as a loop of steps, or as the reference has them
MODULES = ("plain", "plain bfloat16", "reference")
#: in mixed precision, where the processor has the units for it
BFLOAT16 = ("plain bfloat16", "saccade bfloat16") if bfloat.units() else ()
#: how an inference is run: the plain way, the network itself, and deployed
INFERENCE = ("plain", "saccade", *BFLOAT16, *(f"deploy {p}" for p in PRECISIONS))
#: how a training step is run; checkpointed: every block computed again in backward
TRAINING = ("plain", "saccade", "saccade checkpointed", *BFLOAT16)


@dataclass(frozen=True)
class Case:
    """A network and its input: images [B, C, H, W] where `frames` is off, else sequences [T, B, C, H, W]."""

    model: str
    attention: str
    steps: int
    batch: int
    size: int
    channels: int
    frames: bool
    width: float = 1.0
    placement: str = "spikes"
    options: dict[str, Any] = field(default_factory=dict)

    def build(self, backend: str = "auto") -> Classifier:
        """The network with random weights; its norms have seen one batch, so that its neurons fire."""
        torch.manual_seed(0)
        model = create_model(
            self.model,
            attention=self.attention,
            placement=self.placement,
            steps=self.steps,
            in_channels=self.channels,
            input_size=(self.size, self.size),
            width=self.width,
            backend=backend,
            **self.options,
        )
        assert isinstance(model, Classifier)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
                nn.init.constant_(module.weight, 2.0)
        with torch.no_grad():
            model.train()(self.input())
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1
        return model

    def input(self) -> Tensor:
        """Random numbers of the input's shape."""
        shape = self.batch, self.channels, self.size, self.size
        return torch.randn(self.steps, *shape) if self.frames else torch.randn(shape)


PUBLISHED = {
    "msresnet18 + DTA": Case("msresnet18", "dta", steps=6, batch=8, size=32, channels=3, frames=False),
    "vggsnn_tet + TCJA": Case("vggsnn_tet", "tcja", steps=10, batch=4, size=48, channels=2, frames=True),
    "dvsgesture_net + TCJA": Case("dvsgesture_net", "tcja", steps=20, batch=1, size=128, channels=2, frames=True),
}
#: what people train on a CPU, and the published network at a larger batch
NETWORKS = {
    **PUBLISHED,
    "msresnet18 + DTA, batch 32": replace(PUBLISHED["msresnet18 + DTA"], steps=4, batch=32),
    "msresnet18 x 0.25 + TCJA": Case("msresnet18", "tcja", 4, 64, 32, 3, frames=False, width=0.25),
    "msresnet18 x 0.125 + TCJA": Case("msresnet18", "tcja", 4, 64, 32, 3, frames=False, width=0.125),
    "fashion_net x 0.25 + TCJA": Case("fashion_net", "tcja", 4, 64, 28, 1, frames=False, width=0.25),
    "digits network + DTA": Case("msresnet18", "dta", 5, 32, 16, 2, frames=True, width=0.125),
}
SMALL = {
    name: replace(case, steps=2, batch=2, size=32 if case.size > 48 else 16, width=0.125)
    for name, case in PUBLISHED.items()
}


def inference(case: Case, way: str) -> Callable[[], Tensor]:
    """One forward pass, as a call without arguments."""
    model, x = case.build("reference" if way in MODULES else "auto").eval(), case.input()
    run: Callable[[Tensor], Tensor] = model
    if way.startswith("plain"):
        run = plain(model).eval()
    elif way.startswith("deploy"):
        run = deploy(model, way.removeprefix("deploy "))
    return torch.inference_mode()(partial(mixed(run, way), x))


def training(case: Case, way: str) -> Callable[[], Tensor]:
    """One training step (cross-entropy of the mean, SGD with momentum), as a call without arguments."""
    model, x = case.build("reference" if way in MODULES else "auto"), case.input()
    model.set_grad_checkpointing(way == "saccade checkpointed")
    labels = torch.arange(case.batch) % model.num_classes
    run = plain(model) if way.startswith("plain") else model
    return learning_step(run, x, labels, mixed(run, way))


def mixed(run: Callable[[Tensor], Tensor], way: str) -> Callable[[Tensor], Tensor]:
    """A forward pass in the precision of a way, with an output in float32."""
    if way not in BFLOAT16:
        return run
    return lambda x: torch.autocast("cpu", torch.bfloat16)(run)(x).float()


def learning_step(
    model: nn.Module, x: Tensor, labels: Tensor, run: Callable[[Tensor], Tensor] | None = None
) -> Callable[[], Tensor]:
    """Forward, cross-entropy of the mean over steps, backward and SGD with momentum, as a call without arguments.

    `run`: what is called instead of the model itself.
    """
    run = run or model
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(run(x).mean(0), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def multiply_adds(case: Case) -> int:
    """Multiply-adds of the network's convolutions and linear layers in one forward pass, T times the stem included."""
    model = case.build("reference").eval()
    total = 0

    def count(layer: Any, arguments: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal total
        fan_in = layer.weight[0].numel()
        total += fan_in * out.numel()

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.inference_mode():
        model(case.input())
    for hook in hooks:
        hook.remove()
    return total
