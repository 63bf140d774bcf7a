"""One sample, one step: gradients against batch norms that are written out, on which no layout has a bearing.

torch's batch norm on the CPU misreads a channels-last gradient of a single frame whose stride along the batch is not
the regular one (seen in 2.14.1): see `saccade.nn.folding.regular_gradient`.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import saccade


class WrittenOut(nn.Module):
    """A batch norm in elementary operations; shares the parameters and statistics of the one that it replaces."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        else:
            mean, var = self.norm.running_mean, self.norm.running_var
        scale = self.norm.weight / (var + self.norm.eps).sqrt()
        return x * scale[:, None, None] + (self.norm.bias - mean * scale)[:, None, None]


def gradients(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    x = x.clone().requires_grad_()
    logits = model(x)
    model.zero_grad()
    (logits * torch.linspace(-1, 1, logits.numel(), dtype=x.dtype).view_as(logits)).sum().backward()
    found = {key.replace(".norm.norm.", ".norm."): p.grad.clone() for key, p in model.named_parameters()}
    return {"x": x.grad, "logits": logits.detach(), **found}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(
    ("name", "attention"),
    [("msresnet18", "none"), ("msresnet18", "dta"), ("msresnet18", "tcja"), ("msresnet34", "none")],
)
def test_a_single_frame_has_the_gradients_of_batch_norms_written_out(name, attention, backend, training):
    torch.manual_seed(0)
    options = {"steps": 1, "width": 0.1, "attention": attention, "backend": backend}
    model = saccade.create_model(name, **options).double().train(training)
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 2, 4)  # so that something fires
        nn.init.normal_(norm.bias, 0.5, 0.5)
    twin = copy.deepcopy(model)
    for key, norm in [(k, m) for k, m in twin.named_modules() if isinstance(m, nn.BatchNorm2d)]:
        twin.set_submodule(key, WrittenOut(norm).train(training))
    x = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    found, expected = gradients(model, x), gradients(twin, x)
    assert found.keys() == expected.keys()
    assert expected["logits"].any()
    for key, value in expected.items():
        scale = max(1.0, float(value.abs().max()))
        torch.testing.assert_close(found[key] / scale, value / scale, rtol=0, atol=1e-8, msg=key)
    first = next(i for i in range(len(model.stages)) if not isinstance(model.stages[i][0].downsample, nn.Identity))
    block = f"stages.{first}.0"
    torch.testing.assert_close(found[f"{block}.downsample.norm.bias"], found[f"{block}.conv2.norm.bias"])


@pytest.mark.parametrize("shape", [(5, 6, 13, 1), (5, 6, 1, 13), (1, 6, 5, 4), (4, 1, 3, 3), (3, 6, 1, 1)])
def test_strides_of_axes_with_one_entry_mean_nothing(shape):
    """Channels-last gradients as views leave them: any stride along an axis of one entry."""
    torch.manual_seed(0)
    N, C, H, W = shape
    norm, x = nn.BatchNorm2d(C).double(), torch.randn(shape, dtype=torch.float64)
    grad = torch.randn(N, H, W, C, dtype=torch.float64).permute(0, 3, 1, 2)
    odd = grad.as_strided(shape, [1 if n == 1 else s for n, s in zip(shape, grad.stride(), strict=True)])
    found = []
    for gradient in (grad.contiguous(), odd):
        leaf = x.clone().requires_grad_()
        saccade.nn.folding.regular_gradient(norm(leaf)).backward(gradient)
        found.append(leaf.grad)
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-12)
