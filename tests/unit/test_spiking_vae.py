"""The fully spiking VAE: one walk through time equals the prefixes, statistics are left alone, options, errors."""

from __future__ import annotations

import copy

import fsvae_prefix as plain
import pytest
import torch
from torch import Tensor, nn

import saccade
from saccade.models.fsvae import FSVAE, kl_bernoulli, mmd_psp, post_synaptic_potential

T, B, D, K = 9, 3, 12, 5


def small(**options) -> FSVAE:
    sizes = {"steps": T, "latent": D, "k": K, "image_size": 16, "width": 0.25}
    return saccade.create_model("fsvae", **{**sizes, **options})


@pytest.fixture(scope="module")
def trained() -> FSVAE:
    """A small network in float64 with running statistics of some batches, and gains and biases unlike a new one's."""
    torch.manual_seed(0)
    model = small().double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, 0.05, 0.1)
    for _ in range(40):
        model(torch.rand(8, 1, 16, 16, dtype=torch.float64) * 2 - 1)
    return model.eval()


@pytest.fixture
def model(trained) -> FSVAE:
    return copy.deepcopy(trained)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(B, 1, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture
def index() -> Tensor:
    return torch.randint(K, (T, B, D), generator=torch.Generator().manual_seed(2))


def statistics(model: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.named_buffers()}


def assert_lively(spikes: Tensor) -> None:
    """A comparison of silent neurons would prove nothing."""
    assert 0.05 < spikes.mean() < 0.95


def test_posterior_walk_equals_prefixes(model, images, index):
    x = model.encode(images)
    z, q = model.posterior(x, index)
    z_prefix, q_prefix = plain.posterior(model.posterior, x.movedim(0, -1), index)
    assert_lively(z)
    assert torch.equal(z.movedim(0, -1), z_prefix)
    assert torch.equal(q.movedim(0, -1), q_prefix)


def test_prior_sampling_equals_prefixes(model, index):
    z = model.prior.sample(T, B, index)
    assert_lively(z)
    assert torch.equal(z.movedim(0, -1), plain.sample_prior(model.prior, index))


@pytest.mark.parametrize("scheduled", [0.0, 0.5, 1.0])
def test_scheduled_sampling_equals_prefixes(model, index, scheduled):
    z = model.prior.sample(T, B, index)
    torch.manual_seed(3)
    p = model.prior(z, scheduled)
    torch.manual_seed(3)
    assert torch.equal(p.movedim(0, -1), plain.prior(model.prior, z.movedim(0, -1), scheduled))


def test_scheduled_sampling_changes_what_the_prior_sees(model, index):
    z = model.prior.sample(T, B, index)
    same, guessed = model.prior(z), model.prior(z, scheduled=1.0)
    first = model.prior.first_scheduled_step
    assert torch.equal(same[: first + 1], guessed[: first + 1])
    assert not torch.equal(same[first + 1 :], guessed[first + 1 :])


def test_whole_step_equals_plain_form(model, images, index):
    output = model(images, index=index)
    loss = (output.reconstruction - images).square().mean() + mmd_psp(output.q, output.p)
    parameters = list(model.parameters())
    ours = torch.autograd.grad(loss, parameters)
    plain_loss = plain.loss(model, images, index)
    torch.testing.assert_close(loss, plain_loss, rtol=0, atol=1e-12)
    for (name, _), a, b in zip(
        model.named_parameters(), ours, torch.autograd.grad(plain_loss, parameters), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12, msg=name)
        assert b.abs().max() > 0, name


def test_summing_before_the_last_convolution_changes_nothing(model, images, index):
    """With gradients wanted, the sum over time comes before the last convolution."""
    nn.init.normal_(model.decoder.to_image.bias)  # its weight in the sum is that of all steps
    convolved = []
    model.decoder.to_image.register_forward_hook(lambda _, args, __: convolved.append(len(args[0])))
    with_gradient = model(images, index=index).reconstruction
    assert convolved == []
    with torch.no_grad():
        without = model(images, index=index).reconstruction
    assert convolved == [T * B]
    torch.testing.assert_close(with_gradient, without, rtol=0, atol=1e-12)


def test_walks_leave_statistics_alone(model, images, index):
    model.train()
    x = model.encode(images)
    before = statistics(model)
    model.posterior._walk(x, index)
    model.prior._replace_guessed(x, 1.0)
    model.prior.sample(T, B, index)
    for key, value in statistics(model).items():
        assert torch.equal(value, before[key]), key


def test_training_records_statistics_once(model, images):
    model.train()
    counts = {key: int(value) for key, value in model.named_buffers() if key.endswith("num_batches_tracked")}
    model(images, scheduled=1.0)
    for key, value in model.named_buffers():
        if key.endswith("num_batches_tracked"):
            assert int(value) == counts[key] + 1, key


def test_autocast_walks_in_full_precision(trained, images, index):
    model, images = copy.deepcopy(trained).float().eval(), images.float()
    x = model.encode(images)
    expected = model.posterior._walk(x, index)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.posterior._walk(x.bfloat16(), index).float(), expected)
        output = model.train()(images, scheduled=1.0)
    assert set(output.z.unique().tolist()) == {0.0, 1.0}
    assert output.reconstruction.isfinite().all()


def test_static_image_equals_copies(model, images):
    copies = images.expand(T, *images.shape)
    assert torch.equal(model.encode(images), model.encode(copies))
    model.train()
    once, each = model.encode(images), model.encode(copies)
    assert torch.equal(once, each)


def test_prior_sends_no_gradient_to_posterior(model, images):
    output = model.train()(images)
    output.p.sum().backward()
    assert all(p.grad is None for p in model.posterior.parameters())
    assert model.prior.layers[0].linear.weight.grad.abs().max() > 0


@pytest.mark.parametrize("name", ["tcja", "tla", "cla", "se", "ta", "txa"])
def test_attention_before_the_readout(name, images):
    torch.manual_seed(0)
    model = small(attention=name).double().eval()
    z = (torch.rand(T, B, D, dtype=torch.float64) < 0.4).double()
    x = []
    model.decoder.readout.register_forward_pre_hook(lambda _, args: x.append(args[0]))
    images = model.decode(z)
    gate = model.attention_modules()["decoder.readout.gate"].compute_gate(x[0])
    torch.testing.assert_close(images, (gate * x[0]).mean(0).tanh())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("attention", ["none", "tcja"])
def test_a_new_network_draws_grey(attention, seed):
    """A saturated tanh passes no gradient: whether a seed starts all white must not decide how it learns."""
    torch.manual_seed(seed)
    drawn = small(attention=attention, image_size=32, steps=16).train()(torch.rand(8, 1, 32, 32) * 2 - 1).reconstruction
    assert (drawn.abs() > 0.95).double().mean() < 0.01


def test_attention_after_the_stages():
    model = small(encoder_attention="tcja", decoder_attention="se", placement="current")
    kinds = {name: type(gate).__name__ for name, gate in model.attention_modules().items()}
    assert {kind for name, kind in kinds.items() if name.startswith("encoder.")} == {"TCJA"}
    assert {kind for name, kind in kinds.items() if name.startswith("decoder.stages")} == {"SE"}
    assert kinds["decoder.readout.gate"] == "NoAttention"
    output = model(torch.rand(B, 1, 16, 16))
    assert set(output.latent.unique().tolist()) <= {0.0, 1.0}
    output.reconstruction.sum().backward()
    assert all(g.grad is not None for gate in model.attention_modules().values() for g in gate.parameters())


def test_same_attention_shares_options():
    model = small(attention="tcja", decoder_attention="tcja", attention_options={"kernel_time": 2})
    widths = {
        gate.conv_time.kernel_size[0] for gate in model.attention_modules().values() if hasattr(gate, "conv_time")
    }
    assert widths == {2}
    with pytest.raises(ValueError, match="kernel_time"):
        small(attention_options={"kernel_time": 2})


def test_other_numbers_of_steps():
    model = small(attention="tcja").resize_steps(5).eval()
    output = model(torch.rand(B, 1, 16, 16))
    assert output.z.shape == (5, B, D)
    assert model.sample(2)[1].shape == (5, 2, D)


def test_five_stages_for_faces():
    model = small(image_size=64, in_channels=3, width=0.1)
    assert len(model.encoder.stages) == 5
    assert model(torch.rand(2, 3, 64, 64)).reconstruction.shape == (2, 3, 64, 64)


def test_interpolation_changes_each_latent_spike_at_most_once(model, images):
    decoded = []
    model.decoder.register_forward_pre_hook(lambda _, args: decoded.append(args[0]))
    way = model.interpolate(images[:2], images[1:], 6)
    assert way.shape == (6, 2, 1, 16, 16)
    changes = torch.stack(decoded).diff(dim=0).abs().sum(0)
    assert changes.max() == 1
    assert (changes == 0).any()
    with pytest.raises(ValueError, match="count must be 2 or more"):
        model.interpolate(images, images, 1)


def test_interpolation_ends_have_the_rates_of_the_ends(model, images):
    """Over many draws, the first and the last latent spikes fire as the posterior's rates of the two images say."""
    decoded = []
    model.decoder.register_forward_pre_hook(lambda _, args: decoded.append(args[0]))
    many = [image.expand(1000, -1, -1, -1) for image in images[:2]]
    torch.manual_seed(0)
    model.interpolate(*many, 2)
    for image, z in zip(many, decoded, strict=True):
        rate = model.posterior(model.encode(image))[1].mean((1, 3))
        assert (z.mean(1) - rate).abs().max() < 0.1


@pytest.mark.parametrize("size", [28, 4, 0])
def test_image_size_must_be_a_power_of_two(size):
    with pytest.raises(ValueError, match="power of two"):
        small(image_size=size)


def test_wrong_inputs(model):
    with pytest.raises(ValueError, match="image_size=16 but the images are 28 x 28"):
        model(torch.zeros(B, 1, 28, 28))
    with pytest.raises(ValueError, match="in_channels=1"):
        model(torch.zeros(B, 3, 16, 16))
    with pytest.raises(ValueError, match="steps=9"):
        model(torch.zeros(4, B, 1, 16, 16))
    with pytest.raises(ValueError, match="input_size"):
        small(input_size=(16, 16))
    with pytest.raises(ValueError, match=r"model\.eval\(\)"):
        model.train().sample(2)


def test_post_synaptic_potential():
    spike = torch.tensor([1.0, 0.0, 0.0, 1.0])[:, None]
    expected = torch.tensor([0.5, 0.25, 0.125, 0.5625])[:, None]
    torch.testing.assert_close(post_synaptic_potential(spike), expected)


def test_divergences_are_zero_for_equal_rates_and_grow(index):
    q = torch.rand(T, B, D, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64).round()
    for divergence in (mmd_psp, kl_bernoulli):
        # the order of the k outputs does not matter, only their mean
        assert divergence(q, q.flip(-1)).abs() < 1e-12
        assert divergence(q, 1 - q) > 0
