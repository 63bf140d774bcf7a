"""The products of self attention: counted pair by pair."""

from __future__ import annotations

import itertools

import pytest
import torch

import saccade
from saccade.nn.self_attention import (
    ChannelQK,
    SpatioTemporalSelfAttention,
    SpikeDrivenSelfAttention,
    SpikingSelfAttention,
    TokenProduct,
    TokenQK,
)
from saccade.probe import measure_energy


@pytest.mark.parametrize("size", [(1, 2), (3, 2)])
def test_matrices_of_spikes_are_counted_pair_by_pair(size: tuple[int, int]) -> None:
    """d = 3 channels in a head, and 2 or 6 tokens."""
    torch.manual_seed(0)
    x = (torch.rand(1, 1, 9, *size) > 0.4).float()
    q, k, v = (part.flatten(3)[0, 0].bool().tolist() for part in x.chunk(3, 2))
    d, N = 3, size[0] * size[1]
    products = counts = 0
    if d >= N:  # v (k^T q)
        for i, n, m in itertools.product(range(d), range(N), range(N)):
            products += 2
            counts += k[i][n] and q[i][m]
            counts += v[i][n]
    else:  # (v k^T) q
        for i, j, n in itertools.product(range(d), range(d), range(N)):
            products += 2
            counts += v[i][n] and k[j][n]
            counts += q[j][n]
    module = SpikingSelfAttention(1)
    assert module.operations(x, module(x)) == (products, counts)
    assert SpatioTemporalSelfAttention(1)(x).shape == (1, 1, 3, *size)


def test_the_tokens_of_a_chunk_are_one_set() -> None:
    torch.manual_seed(0)
    x = (torch.rand(4, 2, 6, 2, 2) > 0.4).float()
    module = SpatioTemporalSelfAttention(2, chunk=2)
    products, counts = module.operations(x, module(x))
    assert products == 2 * 4 * 2 * 2 * 4  # two products; T * B * heads * d^2 * N, d = 1
    q, k, v = (part.sum() for part in x.chunk(3, 2))
    met = (x.chunk(3, 2)[1] * x.chunk(3, 2)[2]).sum()
    assert counts == met + q
    assert k + v > met


@pytest.mark.parametrize(("kind", "parts"), [(TokenQK, 2), (ChannelQK, 2), (SpikeDrivenSelfAttention, 3)])
def test_gates_that_are_fired_count_what_they_add_and_let_through(kind: type[TokenProduct], parts: int) -> None:
    torch.manual_seed(0)
    x = (torch.rand(3, 2, 4 * parts, 2, 2) > 0.3).float()
    module = kind(2)
    y = module(x)
    assert y.any()
    chunks = x.chunk(parts, 2)
    added = chunks[0].sum() if parts == 2 else (chunks[1] * chunks[2]).sum()
    assert module.operations(x, y) == (2 * y.numel(), added + y.sum())


@pytest.mark.parametrize("name", ["spikformer", "qkformer", "sdt", "statten", "tim_spikformer"])
def test_both_ways_are_stated(name: str) -> None:
    torch.manual_seed(0)
    model = saccade.create_model(name, dim=32, heads=4, steps=2, in_channels=2, input_size=(16, 16))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.bias, 1, 2)
    report = measure_energy(model.eval(), torch.rand(2, 2, 2, 16, 16))
    found = report.as_json()["self_attention"]
    assert set(found) == {name for name, module in model.named_modules() if isinstance(module, TokenProduct)}
    assert all(0 < o["counts"] < o["products"] for o in found.values())
    assert all(0 < o["energy_as_counts_mj"] < o["energy_as_macs_mj"] for o in found.values())
    assert report.network.not_counted == {}
