"""The fully spiking VAE against what the released code computes, in float64, every random pick given."""

from __future__ import annotations

import pytest
import torch
from golden import Golden, load
from torch import Tensor

import saccade
from saccade.models.fsvae import FSVAE, VAEOutput, kl_bernoulli, mmd_psp
from saccade.models.official import official_rules, rename

TOLERANCE = {"rtol": 0, "atol": 1e-9}


@pytest.fixture(scope="module")
def golden() -> Golden:
    return load("fsvae_eval")


@pytest.fixture(scope="module")
def model(golden: Golden) -> FSVAE:
    sizes = {name: golden.meta[name] for name in ("steps", "in_channels", "latent", "k")}
    model = saccade.create_model("fsvae", image_size=32, backend="reference", **sizes).double()
    return saccade.load_official(model, golden.state()).eval()


def picks(golden: Golden, name: str) -> Tensor:
    return golden.tensor(name).view(golden.meta["steps"], -1, golden.meta["latent"])


@pytest.fixture(scope="module")
def output(model: FSVAE, golden: Golden) -> VAEOutput:
    return model(golden.tensor("input0"), index=picks(golden, "posterior_index"))


@pytest.mark.parametrize(("ours", "released"), [("latent", "latent"), ("z", "z"), ("q", "q_z"), ("p", "p_z")])
def test_spikes(output: VAEOutput, golden: Golden, ours: str, released: str) -> None:
    time_last = getattr(output, ours).movedim(0, -1)
    assert torch.equal(time_last, golden.tensor(released))
    assert 0 < time_last.mean() < 1


def test_reconstruction(output: VAEOutput, golden: Golden) -> None:
    torch.testing.assert_close(output.reconstruction, golden.tensor("reconstruction"), **TOLERANCE)


def test_losses(output: VAEOutput, golden: Golden) -> None:
    mse = (output.reconstruction - golden.tensor("input0")).square().mean()
    torch.testing.assert_close(mse + mmd_psp(output.q, output.p), golden.tensor("mmd_loss"), **TOLERANCE)
    torch.testing.assert_close(mse + 1e-4 * kl_bernoulli(output.q, output.p), golden.tensor("kld_loss"), **TOLERANCE)


def test_gradients(model: FSVAE, golden: Golden) -> None:
    output = model(golden.tensor("input0"), index=picks(golden, "posterior_index"))
    loss = (output.reconstruction - golden.tensor("input0")).square().mean() + mmd_psp(output.q, output.p)
    parameters = dict(model.named_parameters())
    released = golden.gradients()
    ours = [parameters[rename(key, official_rules(model))] for key in released]
    for key, parameter, grad in zip(released, ours, torch.autograd.grad(loss, ours), strict=True):
        expected = released[key].view_as(parameter)
        assert expected.abs().max() > 0
        torch.testing.assert_close(grad, expected, **TOLERANCE, msg=lambda text, key=key: f"{key}: {text}")


def test_samples(model: FSVAE, golden: Golden) -> None:
    images, z = model.sample(len(golden.tensor("sample")), picks(golden, "sample_index"))
    assert torch.equal(z.movedim(0, -1), golden.tensor("sample_z"))
    torch.testing.assert_close(images, golden.tensor("sample"), **TOLERANCE)


def test_other_steps_are_refused(model: FSVAE, golden: Golden) -> None:
    other = saccade.create_model("fsvae", steps=7, latent=16, k=4)
    with pytest.raises(ValueError, match="steps=7, but the state dict was trained with 6"):
        saccade.load_official(other, golden.state())
