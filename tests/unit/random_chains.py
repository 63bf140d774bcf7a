"""Random networks: every kind of link, in any order that fits, with sizes, strides and layouts nobody would choose."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import saccade
from saccade.nn.attention import attention_options
from saccade.nn.shape import SpaceMean

#: the gates that are quick to build at any size
GATES = sorted(set(saccade.list_attention()) - {"none"})
SURROGATES = ("triangle", "atan", "sigmoid", "rectangle")


class Foreign(nn.Module):
    """Somebody's own module, which gives back memory in an unusual order."""

    looks_at_steps = "own"

    def forward(self, x: Tensor) -> Tensor:
        return (0.7 * x).transpose(3, 4).contiguous().transpose(3, 4).flip(2)


@dataclass
class Drawn:
    """A network for the reference backend, and what it is to be run on."""

    net: saccade.Sequential
    x: Tensor
    hooked: list[nn.Module]


class Draw:
    """Draws a network, from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        torch.manual_seed(seed)
        self.steps, self.batch = self.random.randint(1, 9), self.random.randint(1, 5)
        self.channels, self.size = self.random.randint(1, 4), [self.random.randint(1, 13) for _ in range(2)]

    def chance(self, p: float) -> bool:
        return self.random.random() < p

    def network(self) -> Drawn:
        channels, size = self.channels, list(self.size)
        modules: list[nn.Module] = []
        for _ in range(self.random.randint(1, 4)):
            kind = self.random.choices(("stage", "residual", "other"), (6, 3, 1))[0]
            modules += getattr(self, kind)()
        modules += self.end()
        net = saccade.Sequential(*modules, steps=self.steps, in_channels=channels, num_classes=3).double()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d) and module.affine:
                nn.init.normal_(module.weight, 2.0, 0.3)
                nn.init.normal_(module.bias, 0.2, 0.3)
        x = self.input(channels, size)
        hooked = [m for m in net.modules() if m is not net and self.chance(0.03)] if self.chance(0.3) else []
        return Drawn(net, x, [m for m in hooked if not isinstance(m, nn.Identity)])

    def input(self, channels: int, size: list[int]) -> Tensor:
        shape = (self.steps, self.batch, channels, *size)
        if self.chance(0.2):
            return 1.5 * torch.randn(shape[1:], dtype=torch.float64)
        x = 1.5 * torch.randn(shape, dtype=torch.float64)
        order = self.random.choice(((0, 1, 2, 3, 4), (0, 1, 3, 4, 2), (1, 0, 4, 2, 3), (4, 3, 2, 1, 0)))
        back = [order.index(i) for i in range(5)]
        return x.permute(order).contiguous().permute(back)

    def neuron(self) -> nn.Module:
        r = self.random
        options = {
            "surrogate": r.choice(SURROGATES),
            "reset": r.choice(("hard", "soft")),
            "detach_reset": self.chance(0.5),
            "backend": "cpu",
        }
        if self.chance(0.15):
            return saccade.PLIF(r.uniform(1.2, 4.0), r.uniform(0.3, 1.2), **options)
        return saccade.LIF(r.uniform(0, 1), r.uniform(0.4, 1.2), r.uniform(0.3, 1.2), **options)

    def gate(self) -> list[nn.Module]:
        if not self.chance(0.3):
            return []
        placement = self.random.choice((None, "spikes", "current"))
        name = self.random.choice(GATES)
        causal = {"causal": True} if "causal" in attention_options(name) and self.chance(0.7) else {}
        return [saccade.create_attention(name, self.channels, self.steps, placement=placement, **causal)]

    def conv(self, channels: int, stride: int | None = None) -> nn.Conv2d:
        r = self.random
        kernel = r.choice((1, 2, 3, 3, 3, 5))
        padding = kernel // 2
        stride = r.choice((1, 1, 2)) if stride is None else stride
        groups = self.channels if channels % self.channels == 0 and self.chance(0.15) else 1
        conv = nn.Conv2d(self.channels, channels, kernel, stride, padding, groups=groups, bias=self.chance(0.4))
        self.size = [(n + 2 * padding - kernel) // stride + 1 for n in self.size]
        self.channels = channels
        return conv

    def norm(self) -> list[nn.Module]:
        if not self.chance(0.8):
            return []
        if self.chance(0.15):
            odd = self.random.choice(({"affine": False}, {"track_running_stats": False}, {"momentum": None}))
            return [nn.BatchNorm2d(self.channels, **odd)]
        return [nn.BatchNorm2d(self.channels)]

    def stage(self) -> list[nn.Module]:
        modules: list[nn.Module] = [self.conv(self.random.randint(1, 6)), *self.norm()]
        if self.chance(0.9):
            modules += [self.neuron(), *self.gate()]
        if self.chance(0.5) and min(self.size) >= 3:
            pools = nn.MaxPool2d(2), nn.AvgPool2d(2), nn.MaxPool2d(3, 1, 1), nn.AdaptiveAvgPool2d(2)
            pool = self.random.choice(pools)
            self.size = list(pool(torch.zeros(1, 1, *self.size)).shape[2:])
            modules.append(pool)
        return modules

    def residual(self) -> list[nn.Module]:
        channels, before, size = self.random.randint(1, 6), self.channels, list(self.size)
        same = self.chance(0.5)
        channels, stride = (before, 1) if same else (channels, self.random.choice((1, 2)))

        def conv(stride: int, kernel: int) -> list[nn.Module]:
            layer = nn.Conv2d(self.channels, channels, kernel, stride, kernel // 2, bias=self.chance(0.3))
            self.channels, self.size = channels, [(n + 2 * (kernel // 2) - kernel) // stride + 1 for n in self.size]
            return [layer, *self.norm()]

        main: list[nn.Module] = [self.neuron(), *self.gate()] if self.chance(0.6) else []
        main += conv(stride, 3)
        if self.chance(0.6):
            main += [self.neuron(), *self.gate(), *conv(1, 3)]
        if self.chance(0.3):
            main.append(self.neuron())
        after = self.channels, self.size
        self.channels, self.size = before, size
        shortcut = None if same else nn.Sequential(*conv(stride, 1))
        self.channels, self.size = after
        modules: list[nn.Module] = [saccade.Residual(*main, shortcut=shortcut)]
        return modules + ([self.neuron(), *self.gate()] if self.chance(0.6) else [])

    def other(self) -> list[nn.Module]:
        return [self.random.choice((Foreign(), nn.ReLU(), nn.Dropout(0.0), nn.Sequential(nn.ReLU(), self.neuron())))]

    def end(self) -> list[nn.Module]:
        if self.chance(0.5):
            return [self.neuron(), SpaceMean(), nn.Linear(self.channels, 3)]
        features = self.channels * self.size[0] * self.size[1]
        return [nn.Flatten(), nn.Linear(features, 5), self.neuron(), nn.Linear(5, 3)]
