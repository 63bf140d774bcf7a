"""The rows of DTA's ablation, as options."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from saccade.nn.attention import DTA, TNA, TXA, create_attention

T, B, C = 4, 2, 6


@pytest.fixture
def source() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(T, B, C, 5, 3, dtype=torch.float64)


@pytest.mark.parametrize("branches", ["both", "local", "global"])
@pytest.mark.parametrize("halves", ["both", "temporal", "channel"])
def test_dta_is_the_product_of_what_was_asked_for(branches: str, halves: str, source: Tensor) -> None:
    dta = create_attention("dta", C, T, branches=branches, halves=halves).double()
    assert isinstance(dta, DTA)
    tna = create_attention("tna", C, T, branches=branches).double()
    txa = create_attention("txa", C, T, halves=halves).double()
    tna.load_state_dict(dta.tna.state_dict())
    txa.load_state_dict(dta.txa.state_dict())
    torch.testing.assert_close(dta.score(source), tna.score(source) * txa.score(source))


def test_a_half_of_txa_is_its_factor(source: Tensor) -> None:
    torch.manual_seed(1)
    whole = create_attention("txa", C, T).double()
    assert isinstance(whole, TXA)
    product = torch.ones_like(source)
    for halves in ("temporal", "channel"):
        half = create_attention("txa", C, T, halves=halves).double()
        assert isinstance(half, TXA)
        half.load_state_dict({key: whole.state_dict()[key] for key in half.state_dict()})
        assert len(list(half.parameters())) == 2
        product = product * half.score(source)
    torch.testing.assert_close(product, whole.score(source))


def test_a_branch_of_tna_is_its_factor(source: Tensor) -> None:
    torch.manual_seed(1)
    whole = create_attention("tna", C, T).double()
    assert isinstance(whole, TNA)
    x = source.transpose(0, 1).flatten(1, 2)
    h = torch.nn.functional.gelu(whole.embed(x))
    assert whole.local is not None
    assert whole.pool is not None
    factors = {"local": whole.local(h), "global": whole.pool(h.mean(dim=(2, 3)))[..., None, None]}
    for branches, factor in factors.items():
        part = create_attention("tna", C, T, branches=branches).double()
        part.load_state_dict({key: whole.state_dict()[key] for key in part.state_dict()})
        expected = (whole.project(factor * h) + x).unflatten(1, (T, C)).transpose(0, 1)
        torch.testing.assert_close(part.score(source), expected)


@pytest.mark.parametrize(("name", "option"), [("dta", "branches"), ("dta", "halves"), ("txa", "halves")])
def test_unknown_parts(name: str, option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be 'both', .* not 'lokal'"):
        create_attention(name, C, T, **{option: "lokal"})
