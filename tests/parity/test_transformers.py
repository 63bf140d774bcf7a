"""The spiking transformers against the authors' networks and SpikingJelly's, float64, 1e-9."""

from collections import OrderedDict

import pytest
import torch
from golden import load
from test_modules import TOLERANCE
from test_modules import check as check_module
from test_networks import build, check
from torch import nn

import saccade
from saccade.models.sdt import ATTENTION_KEYS, SDT
from saccade.models.statten import STAtten
from saccade.models.transformer import SpikingTransformer
from saccade.nn.self_attention import ChannelQK, SpikingSelfAttention, TokenQK

TINY = {"num_classes": 10, "steps": 4, "dim": 32, "heads": 4}
JELLY = {"variant": "spikingjelly"}
NETWORKS = {
    "spikformer_cifar_tiny": ("spikformer", {**TINY, "depth": 2}),
    "sj_spikformer_tiny": ("spikformer", {**TINY, **JELLY, "depth": 2}),
    "sdt_cifar_tiny": ("sdt", TINY),
    "sj_sdt_tiny": ("sdt", {**TINY, **JELLY}),
    "qkformer_cifar_tiny": ("qkformer", {**TINY, "dim": 64, "heads": 8, "mlp_ratio": 1.0}),
    "sj_qkformer_tiny": ("qkformer", {**TINY, **JELLY, "heads": (2, 2, 4)}),
}
TIM = {"num_classes": 10, "steps": 4, "dim": 32, "heads": 2, "depth": 1, "released": True}
ATTENTIONS = {"sj_ssa": SpikingSelfAttention, "sj_qk_token": TokenQK, "sj_qk_channel": ChannelQK}
BLOCKS = {"sj_sdsa": SDT, "statten": STAtten}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name):
    model, options = NETWORKS[name]
    golden = load(name)
    network = build(model, golden, **options)
    x = golden.input()
    logits = network(x)
    check(network, golden, x, logits if golden.tensor("output").ndim == 3 else logits.mean(0))


def test_tims_network_as_released():
    golden = load("tim_spikformer")
    network = build("tim_spikformer", golden, **TIM)
    x = golden.input()
    check(network, golden, x, network(x.transpose(0, 1)).mean(0))


@pytest.mark.parametrize("name", ATTENTIONS)
def test_self_attention(name):
    """The released layers, spikes to spikes, laid from the pieces that the networks are laid from."""
    golden = load(name)
    channels, heads = golden.meta["dim"], golden.meta["heads"]
    network = saccade.create_model("spikformer", dim=channels, heads=heads, depth=1, steps=4, backend="reference")
    assert isinstance(network, SpikingTransformer)
    product = ATTENTIONS[name](heads)
    residual = network.spiking_attention(channels, product, qkv_bias=False, bias=False).double().eval()
    part = "qkv" if product.parts == 3 else "qk"

    def keys(key):
        return key.replace("_conv_bn.0", ".conv").replace("_conv_bn.1", ".norm")

    layer = nn.Sequential(OrderedDict((key, module) for key, module in residual.named_children()))
    layer.load_state_dict(
        {keys(key): v[..., None] if v.ndim == 3 else v for key, v in golden.state().items()}, strict=True
    )
    assert layer.get_submodule(part) is residual.get_submodule(part)
    x = golden.input()
    output = (residual(x[..., None]) - x[..., None])[..., 0]
    torch.testing.assert_close(output, golden.tensor("output"), **TOLERANCE)
    output.backward(golden.tensor("cotangent"))
    # the residual is x + layer(x), and x was taken off again: the gradients of both ways of x cancel
    torch.testing.assert_close(x.grad, golden.tensor("grad_input0"), **TOLERANCE)
    for key, gradient in golden.gradients().items():
        torch.testing.assert_close(layer.get_parameter(keys(key)).grad.reshape(gradient.shape), gradient, **TOLERANCE)


@pytest.mark.parametrize("name", BLOCKS)
def test_membrane_blocks(name):
    golden = load(name)
    channels = golden.meta["dim"]
    heads = golden.meta["heads"]
    network = BLOCKS[name](dim=channels, heads=heads, depth=1, steps=4, num_classes=2, backend="reference")
    block = network.membrane_attention(channels).double().eval()
    block.official_keys = ATTENTION_KEYS
    saccade.load_official(block, golden.state())
    x = golden.input()
    check_module(block, golden, [x], block(x), batch_first=False)


def test_products_say_what_they_take():
    with pytest.raises(ValueError, match=r"SpikingSelfAttention takes 3 parts of C channels .* got \[2, 1, 10, 4, 4\]"):
        SpikingSelfAttention(2)(torch.zeros(2, 1, 10, 4, 4))
    with pytest.raises(ValueError, match="Spikformer: dim=100 must be a multiple of 24, for heads=12"):
        saccade.create_model("spikformer", dim=100)
    with pytest.raises(ValueError, match="variant must be one of authors, spikingjelly, not 'mine'"):
        saccade.create_model("sdt", variant="mine")
    with pytest.raises(ValueError, match="pooling says which of four convolutions pool, such as \"0011\", not '01'"):
        saccade.create_model("sdt", pooling="01")


@pytest.mark.parametrize("tokens", [(2, 3), (7, 5)])
def test_both_orders_of_the_products_give_the_same_numbers(tokens):
    """Fewer tokens than channels, or more: v (k^T q) by hand."""
    torch.manual_seed(0)
    x = (torch.rand(2, 2, 3 * 16, *tokens) > 0.5).float()
    q, k, v = (part.unflatten(2, (2, 8)).flatten(4) for part in x.chunk(3, 2))
    expected = 0.125 * torch.einsum("tbhdn,tbhen,tbhem->tbhdm", v, k, q)
    assert torch.equal(SpikingSelfAttention(2)(x).unflatten(2, (2, 8)).flatten(4), expected)
