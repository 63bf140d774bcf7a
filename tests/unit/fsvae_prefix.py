"""The fully spiking VAE written plainly, the way it was published: time last, autograd through every step, and
posterior and prior that compute the whole prefix 0..t again at every step t.

It borrows the parameters of an `FSVAE` (without attention), so that both can be compared number by number. Tensors are
[B, C, T] and [B, C, H, W, T]; batch norms are those of the model, in its mode, so in training mode every prefix moves
their running statistics, which is what the original does.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from saccade.models.fsvae import FSVAE, Posterior, Prior
from saccade.models.fsvae.layers import DECAY, THRESHOLD, SpikingConv, SpikingLinear
from saccade.nn import ThresholdBatchNorm


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u > THRESHOLD).to(u.dtype)

    @staticmethod
    def backward(ctx, grad):
        (u,) = ctx.saved_tensors
        return grad * (u.abs() < 0.5).to(u.dtype)


def lif(x: Tensor) -> Tensor:
    u = o = torch.zeros_like(x[..., 0])
    spikes = []
    for t in range(x.shape[-1]):
        u = DECAY * u * (1 - o) + x[..., t]
        o = Spike.apply(u)
        spikes.append(o)
    return torch.stack(spikes, -1)


def norm(x: Tensor, bn: ThresholdBatchNorm) -> Tensor:
    """Over everything but the channel axis 1."""
    x = F.batch_norm(x, bn.running_mean, bn.running_var, None, None, bn.training, bn.momentum, bn.eps)
    shape = (-1,) + (1,) * (x.ndim - 2)
    return bn.scale * x * bn.weight.view(shape) + bn.bias.view(shape)


def linear(x: Tensor, layer: SpikingLinear) -> Tensor:
    currents = [F.linear(x[..., t], layer.linear.weight, layer.linear.bias) for t in range(x.shape[-1])]
    return lif(norm(torch.stack(currents, -1), layer.norm))


def convolution(x: Tensor, conv: torch.nn.Conv2d | torch.nn.ConvTranspose2d) -> Tensor:
    """A 2-d convolution of every step, as a 3-d one of depth 1."""
    options = {"stride": (*conv.stride, 1), "padding": (*conv.padding, 0)}
    if isinstance(conv, torch.nn.Conv2d):
        return F.conv3d(x, conv.weight[..., None], conv.bias, **options)
    return F.conv_transpose3d(x, conv.weight[..., None], conv.bias, output_padding=(*conv.output_padding, 0), **options)


def stage(x: Tensor, layer: SpikingConv) -> Tensor:
    return lif(norm(convolution(x, layer.conv), layer.norm))


def encode(model: FSVAE, images: Tensor) -> Tensor:
    x = images[..., None].repeat(1, 1, 1, 1, model.steps)
    for layer in model.encoder.stages:
        x = stage(x, layer)
    return linear(x.flatten(1, 3), model.encoder.to_latent)


def outputs(mlp: Posterior | Prior, x: Tensor) -> Tensor:
    """[B, in, T] -> [B, D, k, T]."""
    for layer in mlp.layers:
        x = linear(x, layer)
    return x.unflatten(1, (mlp.latent, mlp.k))


def pick(spikes: Tensor, index: Tensor) -> Tensor:
    """[B, D, k] and [B, D] -> [B, D]."""
    return spikes.gather(-1, index[..., None])[..., 0]


def posterior(mlp: Posterior, x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """`x` [B, D, T], `index` [T, B, D] -> z [B, D, T], q [B, D, k, T]."""
    before = torch.zeros_like(x[..., :1])
    with torch.no_grad():
        for t in range(x.shape[-1] - 1):
            prefix = torch.cat([x[..., : t + 1], before], 1)
            z_t = pick(outputs(mlp, prefix)[..., -1], index[t])
            before = torch.cat([before, z_t[..., None]], -1)
    q = outputs(mlp, torch.cat([x, before], 1))
    return torch.stack([pick(q[..., t], index[t]) for t in range(x.shape[-1])], -1), q


def prior(mlp: Prior, z: Tensor, scheduled: float = 0.0) -> Tensor:
    """`z` [B, D, T] -> p [B, D, k, T]; scheduled sampling draws as the model does."""
    steps = z.shape[-1]
    before = torch.cat([torch.zeros_like(z[..., :1]), z[..., :-1]], -1).detach()
    guessed = [t for t in range(mlp.first_scheduled_step, steps - 1) if scheduled and torch.rand(()) < scheduled]
    with torch.no_grad():
        for t in guessed:
            rate = outputs(mlp, before[..., : t + 1])[..., -1].mean(-1)
            before[..., t + 1] = (rate + 1e-3 * torch.randn_like(rate) > 0.5).to(z.dtype)
    return outputs(mlp, before)


@torch.no_grad()
def sample_prior(mlp: Prior, index: Tensor) -> Tensor:
    """`index` [T, B, D] -> z [B, D, T]."""
    steps, batch, latent = index.shape
    z = next(mlp.parameters()).new_zeros(batch, latent, 1)
    for t in range(steps):
        z = torch.cat([z, pick(outputs(mlp, z)[..., -1], index[t])[..., None]], -1)
    return z[..., 1:]


def decode(model: FSVAE, z: Tensor) -> Tensor:
    decoder = model.decoder
    x = linear(z, decoder.from_latent).unflatten(1, (-1, 2, 2))
    for layer in [*decoder.stages, decoder.last]:
        x = stage(x, layer)
    x = convolution(x, decoder.to_image)
    weights = 0.8 ** torch.arange(model.steps - 1, -1, -1, dtype=x.dtype)
    return (x * weights).sum(-1).tanh()


def psp(x: Tensor, tau: float = 2.0) -> Tensor:
    trace = torch.zeros_like(x[..., 0])
    traces = []
    for t in range(x.shape[-1]):
        trace = trace + (x[..., t] - trace) / tau
        traces.append(trace)
    return torch.stack(traces, -1)


def loss(model: FSVAE, images: Tensor, index: Tensor, scheduled: float = 0.0) -> Tensor:
    """What a training step minimises: MSE + MMD of the post-synaptic potentials."""
    z, q = posterior(model.posterior, encode(model, images), index)
    p = prior(model.prior, z, scheduled)
    mmd = (psp(q.mean(2)) - psp(p.mean(2))).square().mean()
    return (decode(model, z) - images).square().mean() + mmd
