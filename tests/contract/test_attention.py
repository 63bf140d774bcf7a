"""The contract of attention, held by every registered module: shapes, gates, gradients, dtypes, errors."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from saccade.nn.attention import (
    Attention,
    GatedNeuron,
    attention_class,
    attention_options,
    create_attention,
    list_attention,
    register_attention,
)
from saccade.nn.attention.registry import _REGISTRY as REGISTRY
from saccade.nn.conv1d import LowerConv1d, LowerConv2d
from saccade.nn.neuron import LIF, Neuron

NAMES = list_attention()
FIXED = [name for name in NAMES if attention_class(name).fixed_steps]
FREE = [name for name in NAMES if not attention_class(name).fixed_steps]
OF_MEANS = [name for name in NAMES if attention_class(name).needs == "means"]
POSITIVE = [name for name in NAMES if attention_class(name).positive]
CAUSAL = [name for name in NAMES if "causal" in attention_options(name)]
FROM_CURRENT = [name for name in NAMES if attention_class(name).source == "current"]
FIRING = [name for name in NAMES if any(isinstance(m, Neuron) for m in create_attention(name, 6, 4).modules())]
LEARNED = [name for name in NAMES if name != "none"]
SHAPES = [(4, 2, 6, 5, 3), (1, 3, 7, 4, 4), (5, 2, 3, 1, 1), (3, 2, 1, 4, 2), (1, 1, 1, 1, 1)]

every_module = pytest.mark.parametrize("name", NAMES)
every_learned = pytest.mark.parametrize("name", LEARNED)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def build(
    name: str, channels: int = 6, steps: int = 4, dtype: torch.dtype = torch.float64, **options: object
) -> Attention:
    """On the spikes, unless told otherwise: then every module takes `module(spikes, current)`."""
    options = {"placement": "spikes", **options}
    return create_attention(name, channels=channels, steps=steps, **options).to(dtype)


def signal(*shape: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Spikes and the current that produced them."""
    current = torch.randn(shape or (4, 2, 6, 5, 3), dtype=dtype)
    return (current > 0.5).to(dtype), current


def message(text: str) -> str:
    return f"^{re.escape(text)}$"


# --- gate and output


@every_shape
@every_module
def test_forward_is_gate_times_spikes(name: str, shape: tuple[int, ...]) -> None:
    module = build(name, channels=shape[2], steps=shape[0]).eval()
    spikes, current = signal(*shape)
    gate, y = module.gate(spikes, current), module(spikes, current)
    assert y.shape == shape
    assert y.dtype == gate.dtype == torch.float64
    assert torch.broadcast_shapes(gate.shape, shape) == shape
    assert torch.equal(y, gate * spikes)
    if module.positive:
        assert gate.min() >= 0
        assert gate.max() <= 1
    assert (gate == 1).all() == (name == "none")


@every_learned
def test_the_gate_listens_to_its_source_alone(name: str) -> None:
    module = build(name)
    spikes, current = signal()
    other_spikes, other_current = signal()
    if module.source == "current":
        assert torch.equal(module.gate(spikes, current), module.gate(other_spikes, current))
        assert not torch.equal(module.gate(spikes, current), module.gate(spikes, other_current))
    else:
        assert torch.equal(module.gate(spikes, current), module.gate(spikes))
        assert not torch.equal(module.gate(spikes), module.gate(other_spikes))


def test_none_is_the_identity() -> None:
    spikes, _ = signal()
    assert build("none")(spikes) is spikes
    assert not list(build("none").parameters())


@pytest.mark.parametrize("shape", [(6, 2, 32, 5, 3), (3, 2, 1, 1, 1), (1, 1, 1, 1, 1)], ids=str)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in FIRING])  # a surrogate may well vanish
def test_gradients_reach_everything(name: str, shape: tuple[int, ...]) -> None:
    """With positive weights and a positive source every ReLU is open, so that no gradient may vanish."""
    module = build(name, channels=shape[2], steps=shape[0]).eval()  # a batch norm of equal values has no gradient
    for parameter in module.parameters():
        parameter.data.abs_().mul_(0.3)
    spikes, current = (torch.rand(shape, dtype=torch.float64, requires_grad=True) for _ in range(2))
    module(spikes, current).square().sum().backward()
    inputs = {"spikes": spikes, **({"current": current} if module.source == "current" else {})}
    for key, tensor in {**inputs, **dict(module.named_parameters())}.items():
        assert tensor.grad is not None, key
        assert tensor.grad.isfinite().all(), key
        assert tensor.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", [name for name in LEARNED if name not in FIRING])  # a spike's derivative is made up
def test_gradient_is_the_derivative(name: str) -> None:
    module = build(name, channels=3, steps=2)
    current = torch.randn(2, 1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    weights = tuple(module.parameters())

    def gated(source: Tensor, *_: Tensor) -> Tensor:
        return module(source, source)

    assert torch.autograd.gradcheck(gated, (current, *weights))


# --- what a module says it is


@every_module
def test_it_says_what_it_is(name: str) -> None:
    cls = attention_class(name)
    assert cls.source in ("spikes", "current")
    assert cls.needs in ("means", "full")
    assert cls.looks_at_steps in ("own", "past", "all")
    assert name == "none" or cls.published_at
    assert create_attention(name, 6, 4).placement == cls.published_placement


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", OF_MEANS)
def test_a_gate_of_means_needs_the_means_alone(name: str, shape: tuple[int, ...]) -> None:
    module = build(name, channels=shape[2], steps=shape[0])
    source = torch.randn(shape, dtype=torch.float64)
    means = source.mean(dim=(3, 4), keepdim=True)
    gate = module.gate(source, source)
    assert gate.shape == means.shape
    torch.testing.assert_close(module.gate(means, means), gate, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", POSITIVE)
def test_a_positive_gate_is_never_negative(name: str) -> None:
    module = build(name)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=3)
    source = 5 * torch.randn(4, 2, 6, 5, 3, dtype=torch.float64)
    assert module.gate(source, source).min() >= 0


@pytest.mark.parametrize(
    ("name", "options"), [*((name, {}) for name in NAMES), *((name, {"causal": True}) for name in CAUSAL)], ids=str
)
def test_it_looks_at_no_other_steps_than_it_says(name: str, options: dict[str, bool]) -> None:
    """Step t of the gate stays what it is when steps that it says it does not look at change."""
    module = build(name, **options).eval()
    source, other = (torch.randn(4, 2, 6, 5, 3, dtype=torch.float64) for _ in range(2))
    gate = module.gate(source, source).expand(source.shape)
    for t in range(4):
        seen = {"own": [t], "past": range(t + 1), "all": range(4)}[module.looks_at_steps]
        mixed = torch.stack([source[s] if s in seen else other[s] for s in range(4)])
        found = module.gate(mixed, mixed).expand(source.shape)
        torch.testing.assert_close(found[t], gate[t], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CAUSAL)
def test_causal_is_the_past(name: str) -> None:
    causal, published = build(name, causal=True), build(name)
    assert causal.looks_at_steps == "past"
    causal.load_state_dict(published.state_dict())  # the same parameters
    source, other = (torch.randn(4, 2, 6, 5, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    gate = causal.gate(source, source).expand(source.shape)
    assert not torch.allclose(gate, published.gate(source, source).expand(source.shape))
    mixed = torch.cat((other[:1], source[1:]))
    assert not torch.allclose(causal.gate(mixed, mixed).expand(source.shape)[3], gate[3])  # the past is seen
    (later,) = torch.autograd.grad(gate[1].sum(), source, retain_graph=True)
    assert later[:2].abs().sum(dim=(1, 2, 3, 4)).all()
    assert not later[2:].any()


@pytest.mark.parametrize("steps", [1, 3, 8])
@pytest.mark.parametrize("name", CAUSAL)
def test_causal_stays_causal_when_resized(name: str, steps: int) -> None:
    module = build(name, causal=True).resize_steps(steps)
    assert "causal" in repr(module)
    source = torch.randn(steps, 2, 6, 5, 3, dtype=torch.float64, requires_grad=True)
    gate = module.gate(source, source).expand(source.shape)
    for t in range(steps):
        (grad,) = torch.autograd.grad(gate[t].sum(), source, retain_graph=True)
        assert not grad[t + 1 :].any()


@pytest.mark.parametrize("name", CAUSAL)
def test_what_a_causal_gate_never_reads_does_not_come_in_by_resizing(name: str) -> None:
    module, other = build(name, causal=True), build(name, causal=True)
    other.load_state_dict(module.state_dict())
    for layer in other.modules():
        if isinstance(layer, (LowerConv1d, LowerConv2d)):
            layer.weight.data += 7 * (layer.used_weight() == 0)
    longer = torch.randn(8, 2, 6, 5, 3, dtype=torch.float64)
    gates = [m.resize_steps(8).gate(longer, longer) for m in (module, other)]
    torch.testing.assert_close(gates[0], gates[1])


@pytest.mark.parametrize("name", CAUSAL)
def test_a_causal_gate_has_its_gradients_and_takes_a_static_image(name: str) -> None:
    module = build(name, channels=3, steps=3, causal=True)
    image = torch.randn(1, 3, 2, 2, dtype=torch.float64)
    copied = image.repeat(3, 1, 1, 1, 1).requires_grad_()
    torch.testing.assert_close(module.compute_gate(image.expand(3, 1, 3, 2, 2)), module.compute_gate(copied))
    assert torch.autograd.gradcheck(lambda source, *_: module.compute_gate(source), (copied, *module.parameters()))


# --- precision, layout, state


@every_module
def test_float32_is_close_to_float64(name: str) -> None:
    module = build(name)
    spikes, current = signal()
    single = copy.deepcopy(module).float()
    y = single(spikes.float(), current.float())
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.double(), module(spikes, current), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FIRING])  # one rounding flips a spike
def test_bfloat16_autocast(name: str) -> None:
    module = build(name, dtype=torch.float32)
    spikes, current = (x.requires_grad_() for x in signal(dtype=torch.float32))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = module(spikes, current)
    y.float().sum().backward()
    torch.testing.assert_close(y.float(), module(spikes, current), rtol=0, atol=0.05)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@every_module
def test_memory_layout_does_not_matter(name: str) -> None:
    module = build(name)
    spikes, current = signal()
    expected = module(spikes, current)
    batch_first = [x.transpose(0, 1).contiguous().transpose(0, 1) for x in (spikes, current)]
    channels_last = [x.to(memory_format=torch.channels_last_3d) for x in (spikes, current)]
    every_other = [x.repeat_interleave(2, dim=4)[..., ::2] for x in (spikes, current)]
    for layout in (batch_first, channels_last, every_other):
        assert not layout[0].is_contiguous()
        torch.testing.assert_close(module(*layout), expected, rtol=0, atol=1e-12)


@every_module
def test_a_static_image_may_be_expanded(name: str) -> None:
    module = build(name)
    spikes, current = (x[0] for x in signal())
    expanded = module(spikes.expand(4, *spikes.shape), current.expand(4, *current.shape))
    copied = module(spikes.repeat(4, 1, 1, 1, 1), current.repeat(4, 1, 1, 1, 1))
    torch.testing.assert_close(expanded, copied, rtol=0, atol=1e-12)


@every_module
def test_samples_do_not_see_each_other(name: str) -> None:
    module = build(name).eval()
    spikes, current = signal(4, 3, 6, 5, 3)
    together = module(spikes, current)
    for b in range(3):
        alone = module(spikes[:, b : b + 1], current[:, b : b + 1])
        torch.testing.assert_close(alone, together[:, b : b + 1], rtol=0, atol=1e-12)


@every_module
def test_nothing_is_remembered(name: str) -> None:
    module = build(name).eval()
    spikes, current = signal()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    first = module(spikes, current)
    module(*signal())
    assert torch.equal(module(spikes, current), first)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


@every_module
def test_the_input_is_left_alone(name: str) -> None:
    spikes, current = signal()
    copies = spikes.clone(), current.clone()
    build(name)(spikes, current)
    assert torch.equal(spikes, copies[0])
    assert torch.equal(current, copies[1])


@every_module
def test_weights_travel_through_safetensors(name: str) -> None:
    module, other = build(name), build(name)
    spikes, current = signal()
    expected = module(spikes, current)
    assert name == "none" or not torch.equal(other(spikes, current), expected)
    other.load_state_dict(load(save(module.state_dict())))
    assert torch.equal(other(spikes, current), expected)


@every_module
def test_a_deep_copy_is_independent(name: str) -> None:
    module = build(name)
    spikes, current = signal()
    expected = module(spikes, current)
    twin = copy.deepcopy(module)
    assert torch.equal(twin(spikes, current), expected)
    for parameter in twin.parameters():
        parameter.data.zero_()
    assert torch.equal(module(spikes, current), expected)


@every_module
def test_repr_tells_the_shape(name: str) -> None:
    module = build(name)
    assert f"channels=6, steps=4, source={module.source}, placement=spikes" in repr(module)


# --- placement


@pytest.mark.parametrize("name", FROM_CURRENT)
def test_missing_current(name: str) -> None:
    spikes, _ = signal()
    module = build(name)
    text = (
        f"{type(module).__name__} computes its gate from the membrane current: call it as "
        f"attention(spikes, current=x), where x is the input of the neuron that fired the spikes."
    )
    for call in (module, module.gate):
        with pytest.raises(ValueError, match=message(text)):
            call(spikes)


@pytest.mark.parametrize("name", FROM_CURRENT)
def test_current_of_another_shape(name: str) -> None:
    spikes, current = signal()
    text = "The current [4, 2, 6, 5, 2] and the spikes [4, 2, 6, 5, 3] must have the same shape."
    with pytest.raises(ValueError, match=message(text)):
        build(name)(spikes, current[..., :2])


@every_module
def test_placed_on_the_current_it_needs_no_spikes(name: str) -> None:
    _, current = signal()
    module = build(name, placement="current")
    published = build(name)
    published.load_state_dict(module.state_dict())
    assert torch.equal(module(current), published.gate(current, current) * current)


@every_module
def test_gated_neuron(name: str) -> None:
    current = torch.randn(4, 2, 6, 5, 3)
    neuron = LIF(threshold=0.2)
    after = GatedNeuron(neuron, build(name, dtype=torch.float32))
    spikes = neuron(current)
    assert torch.equal(after(current), after.attention.gate(spikes, current) * spikes)
    before = GatedNeuron(neuron, build(name, dtype=torch.float32, placement="current"))
    assert torch.equal(before(current), neuron(before.attention.gate(current) * current))
    assert set(before(current).unique().tolist()) == {0.0, 1.0}
    assert name == "none" or (set(after(current).unique().tolist()) == {0.0, 1.0}) == (name in FIRING)


@every_module
def test_unknown_placement(name: str) -> None:
    with pytest.raises(ValueError, match=message("placement must be 'spikes' or 'current', not 'currents'.")):
        build(name, placement="currents")


# --- wrong input


@every_module
def test_wrong_channels(name: str) -> None:
    module = build(name)
    text = (
        f"{type(module).__name__} was built for channels=6 but the input has 8 channels "
        f"([T, B, C, H, W] = [4, 2, 8, 5, 3]). Build it with channels=8, or check the order of the axes."
    )
    with pytest.raises(ValueError, match=message(text)):
        module(*signal(4, 2, 8, 5, 3))


@pytest.mark.parametrize("name", FIXED)
def test_wrong_steps(name: str) -> None:
    module = build(name)
    text = (
        f"{type(module).__name__} was built for steps=4 but the input has 16 steps "
        f"([T, B, C, H, W] = [16, 2, 6, 5, 3]). Build it with steps=16 or call resize_steps(16)."
    )
    with pytest.raises(ValueError, match=message(text)):
        module(*signal(16, 2, 6, 5, 3))


@pytest.mark.parametrize("name", FREE)
def test_any_number_of_steps(name: str) -> None:
    module = build(name)
    assert module(*signal(16, 2, 6, 5, 3)).shape == (16, 2, 6, 5, 3)
    shapes, others = ({k: p.shape for k, p in build(name, steps=steps).named_parameters()} for steps in (4, 9))
    assert shapes == others


@pytest.mark.parametrize("shape", [(2, 6, 5, 3), (4, 2, 6), (4, 2, 6, 5, 3, 1)], ids=str)
@every_module
def test_wrong_number_of_dimensions(name: str, shape: tuple[int, ...]) -> None:
    module = build(name)
    text = (
        f"{type(module).__name__} takes sequences [T, B, C, H, W], but got {len(shape)} dimensions {list(shape)}. "
        "Stack a static image with x.expand(T, ...) or add H = W = 1 to features."
    )
    with pytest.raises(ValueError, match=message(text)):
        module(*signal(*shape))


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "4"])
@every_module
def test_sizes_that_make_no_sense(name: str, size: int) -> None:
    owner = attention_class(name).__name__
    with pytest.raises(ValueError, match=message(f"{owner}: channels must be a positive integer, not {size!r}.")):
        create_attention(name, size, 4)
    with pytest.raises(ValueError, match=message(f"{owner}: steps must be a positive integer, not {size!r}.")):
        create_attention(name, 6, size)


def test_unknown_name() -> None:
    text = "Unknown attention 'tjca'. Did you mean 'tca' or 'tcsa' or 'tcja'?"
    with pytest.raises(ValueError, match=message(text)):
        create_attention("tjca", 6, 4)


@every_module
def test_unknown_option(name: str) -> None:
    assert "placement" in attention_options(name)
    text = f"Unknown option 'placment' of attention {name!r}. Did you mean 'placement'?"
    with pytest.raises(ValueError, match=message(text)):
        create_attention(name, 6, 4, placment="spikes")


def test_unknown_option_of_a_kernel() -> None:
    text = "Unknown option 'kernel_tme' of attention 'tcja'. Did you mean 'kernel_time' or "
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        create_attention("tcja", 6, 4, kernel_tme=3)


# --- your own


@pytest.fixture
def _registry() -> Iterator[None]:
    kept = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(kept)


@pytest.mark.usefixtures("_registry")
def test_register_your_own() -> None:
    @register_attention("half")
    class Half(Attention):
        fixed_steps = False

        def compute_gate(self, source: Tensor) -> Tensor:
            return source.new_full((1, 1, 1, 1, 1), 0.5)

    spikes, _ = signal()
    assert "half" in list_attention()
    assert torch.equal(create_attention("half", 6, 4)(spikes), spikes / 2)
    with pytest.raises(ValueError, match=message("An attention named 'half' is already registered (Half).")):
        register_attention("half")(Half)
