"""Networks of SpikingJelly 2 as saccade's: `from_spikingjelly(net, steps)`.

Its layers and neurons are converted in `saccade.chain.spikingjelly`; here are its residual blocks and its networks,
read from their attributes. A network or block is known by its forward: one that is derived from it and has another
forward is not.

Differs from SpikingJelly: no hidden state, so nothing is to be reset; neurons are integrated as decay * v + gain * x
instead of v + (x - v) / tau, which rounds differently in the last bit.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from saccade.chain import Chain, LayerLink, chain_of, members
from saccade.chain.spikingjelly import Converter, in_mode_of, is_loaded, step_mode
from saccade.engines import Chained, Links, Residual, run
from saccade.tables import Rows

if TYPE_CHECKING:
    from saccade.models.sequential import Sequential

Named = OrderedDict[str, nn.Module]

#: attributes of SpikingJelly's ResNets in the order of their forward
RESNET = "conv1 bn1 sn1 maxpool layer1 layer2 layer3 layer4 avgpool flatten fc"
#: of main branch, shortcut, and what follows their sum, of its residual blocks
SEW_BASIC = "conv1 bn1 sn1 conv2 bn2 sn2", "downsample downsample_sn", ""
SEW_BOTTLENECK = "conv1 bn1 sn1 conv2 bn2 sn2 conv3 bn3 sn3", "downsample downsample_sn", ""
SPIKING_BASIC = "conv1 bn1 sn1 conv2 bn2", "downsample", "sn2"
SPIKING_BOTTLENECK = "conv1 bn1 sn1 conv2 bn2 sn2 conv3 bn3", "downsample", "sn3"
MS = "spike1 conv1 bn1 spike2 conv2 bn2", "downsample", ""
MAX = "spike1 conv1 bn1 max_pool spike2 conv2 bn2", "downsample", ""


class Branches(Residual):
    """shortcut(x) + main(x), the parts of both under names of their own."""

    def __init__(self, main: Named, shortcut: Named) -> None:
        super().__init__()
        for name, module in (*main.items(), *shortcut.items()):
            self.add_module(name, module)
        self._names = tuple(main), tuple(shortcut)

    def branches(self) -> tuple[Links, Links]:
        main, shortcut = ([(name, self.get_submodule(name)) for name in names] for names in self._names)
        return main, shortcut


class Product(Chained):
    """SEW's other ways to combine two trains of spikes, [T, B, C, H, W] -> the same.

        AND    shortcut(x) * main(x)            IAND   a * (1 - b)

    where b is the main branch of a basic block, the shortcut of a bottleneck.

    Fang et al. Deep Residual Learning in Spiking Neural Networks. NeurIPS 2021, arXiv 2102.04159, table 1.
    """

    def __init__(self, main: Named, shortcut: Named, inverts: str) -> None:
        super().__init__()
        for name, module in (*main.items(), *shortcut.items()):
            self.add_module(name, module)
        self._names = tuple(main), tuple(shortcut)
        #: which branch is inverted: "main", "shortcut" or ""
        self.inverts = inverts

    def _chains(self) -> tuple[Chain, Chain]:
        main, shortcut = (chain_of((name, self.get_submodule(name)) for name in names) for names in self._names)
        return main, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self._product(*(run(chain, x) for chain in self._cached(self._chains)))

    def step(self, x: Tensor, walk: Any) -> Tensor:
        """One step [1, B, ...] of a stream; `walk` holds the state."""
        return self._product(*(walk.links(chain, x) for chain in self._cached(self._chains)))

    def _product(self, main: Tensor, shortcut: Tensor) -> Tensor:
        return (1 - main if self.inverts == "main" else main) * (
            1 - shortcut if self.inverts == "shortcut" else shortcut
        )


def from_spikingjelly(
    net: nn.Module,
    steps: int,
    in_channels: int | None = None,
    *,
    num_classes: int | None = None,
    input_size: tuple[int, int] | None = None,
    share: bool = True,
) -> Sequential:
    """A SpikingJelly network as a `saccade.Sequential`: the same weights, the same spikes, saccade's engines.

        net = spikingjelly.activation_based.model.sew_resnet.sew_resnet18(
            cnf="ADD", spiking_neuron=neuron.IFNode, surrogate_function=surrogate.ATan(), detach_reset=True)
        fast = saccade.from_spikingjelly(net, steps=4)
        fast(x)                                     # [B, C, H, W] or [T, B, C, H, W] -> [T, B, K]
        print(fast.conversion)                      # what became of every layer, and what was kept and why

    It does what the network does in step mode "m" after `functional.reset_net`, whichever step mode it is in: batch
    norms see all T * B frames. Neurons fire at the threshold already, as SpikingJelly's do. What has no form in saccade
    is kept as it is, and reset before every sequence.

    Args:
        net: an `nn.Sequential` or container of SpikingJelly's layers, in any nesting, or one of its networks:
            `parametric_lif_net`, `sew_resnet`, `spiking_resnet`, `spiking_vgg` and `ms_resnet` (whose last mean over
            time is left to the reader, as for all of saccade's networks).
        steps: T.
        in_channels: C of the input; None: that of the first layer, if it is a convolution.
        num_classes, input_size: as for `saccade.Sequential`.
        share: whether parameters and buffers are the network's own, so that training one trains the other (until one
            of them is moved to another device or type), or copies.

    Raises:
        ValueError: a network whose forward is not known, or C that cannot be told.
    """
    from saccade.models.sequential import Sequential

    if not is_loaded():
        raise ValueError(
            f"from_spikingjelly takes a network made of SpikingJelly's layers, but {type(net).__name__} has none: "
            "spikingjelly has not even been imported. Say a network of torch's layers as saccade.Sequential(...)."
        )
    converter = Converter(sequences=step_mode(net) == "m", blocks=_block)
    named = _links(converter, net)
    fast = Sequential(
        OrderedDict(named),
        steps=steps,
        in_channels=_channels(named) if in_channels is None else in_channels,
        num_classes=num_classes,
        input_size=input_size,
    )
    fast.training = net.training
    fast.conversion.extend(converter.rows)
    return fast if share else copy.deepcopy(fast)


def converted(module: nn.Module, name: str, rows: Rows) -> nn.Module:
    """A member of a saccade network, converted if it is SpikingJelly's; `rows` receive what became of it."""
    if not is_loaded():
        return module
    converter = Converter(sequences=None, blocks=_block)
    made = converter.convert(name, module)
    rows.extend(converter.rows)
    return made


def _links(converter: Converter, net: Any) -> Named:
    """The converted modules of a network, by name, in the order in which data meets them."""
    for cls, order in _networks().items():
        if _runs_as(net, cls):
            found = [(name, getattr(net, name, nn.Flatten() if name == "flatten" else None)) for name in order.split()]
            return OrderedDict(
                (name, part if name == "flatten" else converter.convert(name, part))
                for name, part in found
                if part is not None
            )
    if isinstance(net, nn.Sequential):
        made = converter.convert("", net)
        return OrderedDict(members(made)) if type(made) is nn.Sequential else OrderedDict([("0", made)])
    known = ", ".join(cls.__name__ for cls in _networks())
    raise ValueError(
        f"from_spikingjelly knows the order of the layers in an nn.Sequential and in {known}, but "
        f"{type(net).__name__} has a forward of its own, which only says it while it runs. Say the order as a list: "
        "from_spikingjelly(nn.Sequential(net.conv, net.bn, ..., net.fc), steps), and a shortcut as "
        "saccade.Residual(net.conv, net.bn, ..., shortcut=net.downsample), which takes SpikingJelly's layers."
    )


def _networks() -> dict[Any, str]:
    """SpikingJelly's networks, and their attributes in the order of their forward."""
    from spikingjelly.activation_based.model import ms_resnet, parametric_lif_net, sew_resnet, spiking_resnet
    from spikingjelly.activation_based.model.spiking_vgg import SpikingVGG

    plif = (getattr(parametric_lif_net, name) for name in parametric_lif_net.__all__)
    return {
        **dict.fromkeys(plif, "conv_fc"),
        sew_resnet.SEWResNet: RESNET,
        spiking_resnet.SpikingResNet: RESNET,
        SpikingVGG: "features avgpool flatten classifier",
        ms_resnet.MSResNet: "stem layer1 layer2 layer3 layer4 head_lif avgpool flatten head",
    }


def _blocks() -> dict[Any, tuple[str, str, str]]:
    from spikingjelly.activation_based.model import ms_resnet, sew_resnet, spiking_resnet

    return {
        sew_resnet.BasicBlock: SEW_BASIC,
        sew_resnet.Bottleneck: SEW_BOTTLENECK,
        spiking_resnet.BasicBlock: SPIKING_BASIC,
        spiking_resnet.Bottleneck: SPIKING_BOTTLENECK,
        ms_resnet._MaxResNetMaxBlock: MAX,
        ms_resnet._MSBlock: MS,
    }


def _runs_as(module: Any, cls: Any) -> bool:
    """Whether a module does what `cls` does: is one, with nothing changed in what is run."""
    return isinstance(module, cls) and all(
        getattr(type(module), name, None) is getattr(cls, name, None) for name in ("forward", "_forward_impl")
    )


def _block(converter: Converter, name: str, block: Any) -> nn.Module | None:
    """A residual block, or None if it is none of SpikingJelly's."""
    if not hasattr(block, "downsample"):
        return None
    found = next((parts for cls, parts in _blocks().items() if _runs_as(block, cls)), None)
    combines = getattr(block, "cnf", "ADD")
    if found is None or combines not in ("ADD", "AND", "IAND"):
        return None
    main, shortcut, after = (_parts(converter, name, block, names.split()) for names in found)
    if combines != "ADD":
        inverted = "shortcut" if "conv3" in main else "main"  # the two kinds of blocks differ in the order
        return in_mode_of(block, Product(main, shortcut, inverted if combines == "IAND" else ""))
    branches = Branches(main, shortcut)
    in_mode_of(block, branches)
    return in_mode_of(block, nn.Sequential(OrderedDict(sum=branches, **after))) if after else branches


def _parts(converter: Converter, name: str, block: Any, names: list[str]) -> Named:
    found = ((key, getattr(block, key, None)) for key in names)
    return OrderedDict((key, converter.convert(f"{name}.{key}", part)) for key, part in found if part is not None)


def _channels(named: Named) -> int:
    """C of the input, from the first layer."""
    for link in chain_of(named.items()).walk():
        if isinstance(link, LayerLink) and hasattr(link.core, "in_channels"):
            return int(link.core.in_channels)
        if isinstance(link, LayerLink):
            break
    raise ValueError(
        "from_spikingjelly cannot tell the number of input channels, since the first layer is no convolution. Say "
        "in_channels=C (1 for grey images, 3 for colour, 2 for events)."
    )
