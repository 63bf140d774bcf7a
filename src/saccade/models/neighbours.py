"""Networks that two neighbours released, as lists of layers: for their checkpoints, and for comparison.

They are built from what the package offers to everybody, `saccade.Sequential` and its modules. `create_model` does not
know them: SCTFA is no gate that could be exchanged, and STSC's network reads vectors, not frames.
"""

from __future__ import annotations

from torch import nn

from saccade.models.sequential import Sequential
from saccade.nn.attention import STSC
from saccade.nn.attention.contract import Rules
from saccade.nn.neuron import LIF
from saccade.nn.readout import VotingReadout
from saccade.nn.sctfa import SCTFA, SCTFALIF

VOTERS = 5


def sctfa_net(*, num_classes: int = 10, steps: int = 20, in_channels: int = 2, side: int = 128) -> Sequential:
    """SCTFA's network for MNIST-DVS, [T, B, C, side, side] -> votes [T, B, K]; layers with biases.

        32C7 stride 2 - AP - 64C3 - AP - 128C3 - AP - 512FC - LIF - 5K FC - LIF - vote by 5

    where a convolution is followed by batch norm and `SCTFALIF`, AP is average pooling by 2. The prediction is the mean
    over steps.

    Cai et al. IEEE TNNLS 2023, arXiv 2209.10837; GuoLab-UESTC/SCTFA-SNN. Differs from the released code: that class
    cannot run, since its first linear layer takes 4096 features and is given 8192.
    """
    layers: list[nn.Module] = []
    keys: list[tuple[str, str]] = []
    channels = in_channels
    for i, (out, kernel, stride) in enumerate(((32, 7, 2), (64, 3, 1), (128, 3, 1))):
        conv = nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2)
        keys += [(rf"^conv{i + 1}\.", f"{len(layers)}."), (rf"^bn{i + 1}\.", f"{len(layers) + 1}.")]
        keys += below(rf"att{i + 1}\.", f"{len(layers) + 2}.gate.", SCTFA.official_keys)
        layers += [conv, nn.BatchNorm2d(out), SCTFALIF(out), nn.AvgPool2d(2)]
        channels = out
    features = channels * ((side + 1) // 2 // 8) ** 2
    hidden = nn.Linear(features, 512), LIF.published("sctfa")
    last = nn.Linear(512, VOTERS * num_classes), LIF.published("sctfa")
    keys += [(r"^fc1\.", f"{len(layers) + 1}."), (r"^fc2\.", f"{len(layers) + 3}.")]
    network = Sequential(
        *layers, nn.Flatten(), *hidden, *last, VotingReadout(VOTERS), steps=steps, in_channels=in_channels
    )
    network.official_keys = tuple(keys)
    return network


def stsc_net(*, num_classes: int = 20, steps: int = 15, in_channels: int = 700) -> Sequential:
    """STSC's network for SHD, spikes [T, B, C, 1, 1] -> votes [T, B, K]; linear layers with biases.

        STSC (filter of width 5 along time) - {128FC - LIF} x 2 - 5K FC - LIF - vote by 5

    with LIF of decay 0.9 and threshold 0.3, which fires at the threshold; ATan, reset detached.

    Yu et al. Frontiers in Neuroscience, 2022; Tab-ct/STSC-SNN. Vectors [T, B, C] are given as frames of one pixel.
    """
    layers: list[nn.Module] = []
    features = in_channels
    for out in (128, 128, VOTERS * num_classes):
        neuron = LIF(decay=0.9, threshold=0.3, surrogate="atan", detach_reset=True, inclusive=True)
        layers += [nn.Linear(features, out), neuron]
        features = out
    gate = STSC(in_channels, steps, filter_time=5)
    network = Sequential(gate, nn.Flatten(), *layers, VotingReadout(VOTERS), steps=steps, in_channels=in_channels)
    linear = ((rf"^fc\.{i}\.", f"{i + 1}.") for i in (1, 3, 5))
    network.official_keys = (*below(r"fc\.0\.", "0.", STSC.official_keys), *linear)
    return network


def below(theirs: str, ours: str, rules: Rules) -> Rules:
    """Rules of a module, for keys below `theirs`, which stand below `ours` here."""
    start = r"(^|\.)"
    return tuple((rf"^{theirs}{pattern.removeprefix(start)}", ours + target[2:]) for pattern, target in rules)
