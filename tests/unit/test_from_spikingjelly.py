"""SpikingJelly's networks, layers and neurons in saccade: the same numbers, and what is kept is said."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import saccade
from saccade.chain.spikingjelly import Kept
from saccade.nn import VotingReadout
from saccade.ops.lif import cpu
from saccade.probe.energy import measure_energy

pytest.importorskip("spikingjelly", reason="compares with SpikingJelly 2")
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from spikingjelly.activation_based.model import ms_resnet, sew_resnet, spiking_resnet, spiking_vgg
from spikingjelly.activation_based.model import parametric_lif_net as plif_net

needs_numba = pytest.mark.skipif(cpu.unavailable() is not None, reason=str(cpu.unavailable()))


def atan() -> dict[str, Any]:
    return {"surrogate_function": surrogate.ATan(), "detach_reset": True}


def plif(name: str) -> Any:
    return lambda: getattr(plif_net, name)(8, neuron.ParametricLIFNode, **atan())


def sew(cnf: str) -> Any:
    return lambda: sew_resnet.sew_resnet18(cnf=cnf, spiking_neuron=neuron.IFNode, num_classes=10, **atan())


#: as SpikingJelly ships them: what builds one, and the size of its input, as small as its layers allow
NETWORKS: dict[str, tuple[Any, tuple[int, int, int]]] = {
    "MNISTNet": (plif("MNISTNet"), (1, 28, 28)),
    "FashionMNISTNet": (plif("FashionMNISTNet"), (1, 28, 28)),
    "NMNISTNet": (plif("NMNISTNet"), (2, 34, 34)),
    "CIFAR10Net": (plif("CIFAR10Net"), (3, 32, 32)),
    "CIFAR10DVSNet": (plif("CIFAR10DVSNet"), (2, 128, 128)),
    "DVSGestureNet": (plif("DVSGestureNet"), (2, 128, 128)),
    "sew_resnet18": (sew("ADD"), (3, 24, 24)),
    "spiking_resnet18": (
        lambda: spiking_resnet.spiking_resnet18(spiking_neuron=neuron.LIFNode, num_classes=10, **atan()),
        (3, 24, 24),
    ),
    "ms_resnet18": (lambda: ms_resnet.ms_resnet18(num_classes=10, base_channels=16), (3, 32, 32)),
}


def awake(net: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    """In float64 and step mode m, with norms and weights with which all layers fire."""
    net = net.double()
    functional.set_step_mode(net, "m")
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(1, 2)
            norm.bias.uniform_(0, 0.8)
            norm.momentum = 1.0
        for module in net.modules():
            if isinstance(module, nn.Linear):
                module.weight.mul_(6)
        net(torch.randn(2, 3, *shape, dtype=torch.float64))
    for norm in norms:
        norm.momentum = 0.1
    return net


def outcome(net: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The output, and the gradients of the input and of all parameters."""
    functional.reset_net(net)
    net.zero_grad()
    torch.manual_seed(1)  # of the dropouts' masks
    x = x.clone().requires_grad_()
    y = net(x)
    y = y.expand(len(x), *y.shape) if y.ndim == 2 else y
    y.backward(torch.linspace(-1, 1, y[0].numel(), dtype=y.dtype).view_as(y[0]).expand_as(y))
    assert x.grad is not None
    return y.detach(), [x.grad, *(p.grad.clone() for p in net.parameters() if p.grad is not None)]


def equal(theirs: nn.Module, ours: saccade.Sequential, x: Tensor, averages: bool = False) -> Tensor:
    """Assert that both give the same to 1e-9, and that there is something to give."""
    buffers = copy.deepcopy([*theirs.buffers()])
    y, gradients = outcome(theirs, x)
    moved = copy.deepcopy([*theirs.buffers()])
    for buffer, before in zip(theirs.buffers(), buffers, strict=True):
        buffer.copy_(before)  # they share them
    found, own = outcome(ours, x)
    found = found.mean(0, keepdim=True).expand_as(found) if averages else found
    torch.testing.assert_close(found, y, rtol=0, atol=1e-9)
    assert y.any()
    assert len(own) == len(gradients) == 1 + sum(1 for _ in theirs.parameters())
    for mine, gradient in zip(own, gradients, strict=True):
        torch.testing.assert_close(mine, gradient, rtol=1e-9, atol=1e-9)
    assert all(gradient.any() for gradient in gradients)
    for buffer, expected in zip(ours.buffers(), moved, strict=True):
        torch.testing.assert_close(buffer, expected, rtol=1e-9, atol=1e-9)
    return found


@needs_numba
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_as_spikingjelly_ships_them(name: str) -> None:
    torch.manual_seed(0)
    build, shape = NETWORKS[name]
    theirs = awake(build(), shape)
    averages = isinstance(theirs, ms_resnet.MSResNet)
    for T in (1, 4):
        ours = saccade.from_spikingjelly(theirs, T)
        assert not any(row.saccade == "kept as it is" for row in ours.conversion)
        assert ours.in_channels == shape[0]
        x = 1.5 * torch.randn(T, 3, *shape, dtype=torch.float64)
        for training in (True, False):
            theirs.train(training)
            ours.train(training)
            y = equal(theirs, ours, x, averages)
    with torch.no_grad():
        logits = ours(x)
        assert averages or torch.equal(logits, y)
        torch.testing.assert_close(saccade.deploy(ours, "float")(x), logits, rtol=0, atol=1e-9)
        stream = saccade.stream(ours)
        streamed = torch.stack([stream.step(x_t) for x_t in x])
        torch.testing.assert_close(streamed, logits, rtol=0, atol=1e-9)
    report = measure_energy(ours, x[:, :1])
    assert not report.as_json()["not_counted"]
    assert report.energy_mj("synapse") > 0
    if not isinstance(theirs, spiking_resnet.SpikingResNet):  # whose sum has a name of its own
        assert list(ours.state_dict()) == [key for key in theirs.state_dict() if key in ours.state_dict()]
        assert len(ours.state_dict()) == len(theirs.state_dict())


@needs_numba
@pytest.mark.slow  # 130 million weights, in float64
def test_spiking_vgg11_bn() -> None:
    torch.manual_seed(0)
    shape = (3, 32, 32)
    theirs = awake(spiking_vgg.spiking_vgg11_bn(spiking_neuron=neuron.LIFNode, num_classes=10, **atan()), shape)
    ours = saccade.from_spikingjelly(theirs, 2)
    equal(theirs, ours, 1.5 * torch.randn(2, 2, *shape, dtype=torch.float64))


@pytest.mark.parametrize("cnf", ["AND", "IAND"])
@pytest.mark.parametrize("bottleneck", [False, True])
def test_sew_products(cnf: str, bottleneck: bool) -> None:
    torch.manual_seed(0)
    options = {"cnf": cnf, "spiking_neuron": neuron.IFNode, **atan()}
    planes, kind = (2, sew_resnet.Bottleneck) if bottleneck else (8, sew_resnet.BasicBlock)
    down = nn.Sequential(layer.Conv2d(4, 8, 1, 2, bias=False), layer.BatchNorm2d(8))
    net = nn.Sequential(layer.Conv2d(2, 4, 3), kind(4, planes, 2, down, **options), kind(8, planes, **options))
    net.extend([layer.Flatten(), layer.Linear(72, 5)])
    theirs = awake(net, (2, 7, 7))
    ours = saccade.from_spikingjelly(theirs, 3)
    equal(theirs, ours, 2 * torch.randn(3, 4, 2, 7, 7, dtype=torch.float64))
    stream, x = saccade.stream(ours.eval()), torch.randn(3, 2, 2, 7, 7, dtype=torch.float64)
    torch.testing.assert_close(torch.stack([stream.step(x_t) for x_t in x]), ours(x), rtol=0, atol=1e-12)


NEURONS = [
    *(neuron.LIFNode(v_reset=v, decay_input=d) for v in (0.0, None, -0.25, 0.5) for d in (True, False)),
    *(
        neuron.ParametricLIFNode(init_tau=1.7, v_reset=v, decay_input=d)
        for v in (0.0, None, 0.25)
        for d in (True, False)
    ),
    *(neuron.IFNode(v_reset=v, detach_reset=True) for v in (0.0, None, 0.25)),
    *(
        neuron.LIFNode(tau=3.0, v_threshold=0.7, surrogate_function=s, detach_reset=d)
        for s in (surrogate.ATan(3.0), surrogate.Sigmoid(), surrogate.PiecewiseQuadratic(2.0), surrogate.Rect(0.8))
        for d in (True, False)
    ),
]


@pytest.mark.parametrize("node", NEURONS, ids=str)
def test_neurons(node: Any) -> None:
    torch.manual_seed(0)
    node = copy.deepcopy(node).double()
    node.step_mode = "m"
    ours = saccade.Sequential(node, steps=5, in_channels=3, num_classes=1)
    x = 1.5 * torch.randn(5, 4, 3, 4, 4, dtype=torch.float64) + 0.3
    assert isinstance(ours[0], saccade.LIF)
    y, gradients = outcome(node, x.flatten(2))
    found, own = outcome(ours, x)
    torch.testing.assert_close(found.flatten(2), y, rtol=0, atol=0)
    assert 0.05 < y.mean() < 0.95
    for mine, gradient in zip(own, gradients, strict=True):
        torch.testing.assert_close(mine.flatten(), gradient.flatten(), rtol=1e-9, atol=1e-9)


def test_fires_at_the_threshold() -> None:
    ours = saccade.Sequential(neuron.IFNode(), steps=1, in_channels=1, num_classes=1)
    x = torch.tensor([1.0, 1.0 - 2**-24]).view(1, 2, 1, 1, 1)
    assert ours(x).flatten().tolist() == [1, 0]
    assert saccade.IF()(x).flatten().tolist() == [0, 0]  # saccade's own fires above it


def test_layers_containers_and_random_masks() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(2, 6, 3, bias=False), nn.BatchNorm2d(6)),
        layer.MultiStepContainer(neuron.LIFNode(**atan()), nn.MaxPool2d(2)),
        layer.Dropout2d(0.2),
        layer.GroupNorm(2, 6),
        layer.AvgPool2d(2),
        neuron.IFNode(**atan(), step_mode="m"),
        nn.Flatten(2),
        layer.Dropout(0.3),
        layer.Linear(24, 20),
        neuron.ParametricLIFNode(**atan(), step_mode="m"),
        layer.VotingLayer(5),
    )
    theirs = awake(net, (2, 10, 10))
    for T in (1, 4):
        ours = saccade.from_spikingjelly(theirs, T)
        assert ours.num_classes == 4
        assert isinstance(ours[-1], VotingReadout)
        equal(theirs, ours, 2 * torch.randn(T, 6, 2, 10, 10, dtype=torch.float64))


def test_what_is_not_known_is_kept_by_name_and_starts_from_rest() -> None:
    torch.manual_seed(0)
    exponential = {"surrogate_function": surrogate.PiecewiseExp(), "step_mode": "m"}
    theirs = nn.Sequential(
        layer.Conv2d(2, 6, 3), layer.BatchNorm2d(6), neuron.LIFNode(**exponential), layer.WSConv2d(6, 6, 3),
        neuron.KLIFNode(), layer.Flatten(), layer.Linear(96, 5),
    )  # fmt: skip
    theirs = awake(theirs, (2, 8, 8))
    nn.init.constant_(theirs[3].bias, 2)  # so that the neuron behind it fires
    ours = saccade.from_spikingjelly(theirs, 4, input_size=(8, 8))
    kept = {row.layer: row.reason for row in ours.conversion if row.saccade == "kept as it is"}
    assert kept == {"2": "no surrogate PiecewiseExp here", "3": "not known", "4": "not known"}
    x = 2 * torch.randn(4, 3, 2, 8, 8, dtype=torch.float64)
    equal(theirs, ours, x)
    assert torch.equal(ours.eval()(x), ours(x))
    rows = {row.link: (row.engine, row.reason) for row in saccade.explain(ours, x)}
    assert rows["2"] == ("reference", "kept as it is: no surrogate PiecewiseExp here")
    assert "kept as it is  not known" in str(ours.conversion)
    torch.testing.assert_close(saccade.deploy(ours, "float")(x), ours(x), rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match=r"2 \(Kept\) is given whole sequences"):
        saccade.stream(ours).step(x[0])


def test_step_mode_s_is_what_its_loop_over_time_gives() -> None:
    torch.manual_seed(0)
    parts = layer.Conv2d(2, 6, 3), neuron.LIFNode(**atan()), neuron.KLIFNode(), nn.Flatten(), nn.Linear(216, 5)
    theirs = nn.Sequential(*parts).double()
    ours, x = saccade.from_spikingjelly(theirs, 4), 3 * torch.randn(4, 3, 2, 8, 8, dtype=torch.float64)
    for _ in range(2):
        functional.reset_net(theirs)
        torch.testing.assert_close(ours(x), torch.stack([theirs(x_t) for x_t in x]), rtol=0, atol=1e-12)


def test_members_of_saccades_own_networks() -> None:
    torch.manual_seed(0)
    block = spiking_resnet.BasicBlock(6, 6, spiking_neuron=neuron.LIFNode, **atan())
    parts = layer.Conv2d(2, 6, 3, padding=1), layer.BatchNorm2d(6), neuron.LIFNode(tau=4.0, **atan())
    inner = neuron.IFNode(**atan()), layer.Conv2d(6, 6, 3, padding=1)
    residual = saccade.Residual(*inner)
    layers = *parts, residual, block, nn.Flatten(), nn.Linear(96, 3)
    net = saccade.Sequential(*layers, steps=4, in_channels=2)
    assert not any(isinstance(module, Kept) for module in net.modules())
    assert not any(type(module).__module__.startswith("spikingjelly") for module in net.modules())
    kinds = [type(module) for module in (net[0], net[2], *residual.children())]
    assert kinds == [nn.Conv2d, saccade.LIF, saccade.IF, nn.Conv2d]
    assert net[0].weight is parts[0].weight
    assert net(torch.randn(2, 2, 4, 4)).shape == (4, 2, 3)


def test_weights_are_shared_or_copied() -> None:
    theirs = nn.Sequential(layer.Conv2d(2, 3, 1), layer.BatchNorm2d(3), layer.Flatten(), layer.Linear(12, 2))
    shared, copied = (saccade.from_spikingjelly(theirs, 2, share=share) for share in (True, False))
    assert [id(p) for p in shared.parameters()] == [id(p) for p in theirs.parameters()]
    assert not {id(p) for p in copied.parameters()} & {id(p) for p in theirs.parameters()}
    shared(torch.randn(3, 2, 2, 2))
    assert theirs[1].num_batches_tracked == 1
    assert copied[1].num_batches_tracked == 0


def test_a_frozen_norm_stays_frozen() -> None:
    norm = layer.BatchNorm2d(3).eval()
    theirs = nn.Sequential(layer.Conv2d(2, 3, 1), nn.Sequential(norm), layer.Flatten(), layer.Linear(12, 2))
    ours = saccade.from_spikingjelly(theirs, 2)
    ours(torch.randn(3, 2, 2, 2))
    assert ours.training
    assert norm.num_batches_tracked == 0


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = layer.Conv2d(2, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + x.mean()


def test_networks_that_do_not_say_their_order() -> None:
    with pytest.raises(ValueError, match=r"SEWResNet.* but Own has a forward of its own.*nn.Sequential\(net.conv"):
        saccade.from_spikingjelly(Own(), 2)
    with pytest.raises(ValueError, match="Say in_channels=C"):
        saccade.from_spikingjelly(nn.Sequential(layer.Flatten(), layer.Linear(4, 2)), 2)
    ours = saccade.from_spikingjelly(nn.Sequential(Own(), layer.Flatten(), layer.Linear(12, 2)), 2, in_channels=2)
    assert ours.conversion[0][:3] == ("0", "Own", "kept as it is")
    assert ours(torch.randn(3, 2, 2, 2)).shape == (2, 3, 2)
