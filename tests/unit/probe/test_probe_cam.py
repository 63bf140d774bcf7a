"""Grad-CAM over time: against captum, by hand, and what it leaves behind."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from saccade.probe import default_layer, grad_cam, upsample


class MeanLogits(nn.Module):
    """What captum wants: batch first, one row of logits per sample."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x).mean(0)


@pytest.mark.parametrize("layer", ["stem.conv", "stages.1.0.conv1.conv", "stages.2.1.conv2.norm"])
def test_equals_captum_at_one_step(lively, layer):
    attr = pytest.importorskip("captum.attr", reason="captum is the oracle of this test")
    model, x = lively(steps=1, attention="dta", in_channels=3, batch=3)
    x = x[0]
    classes = torch.tensor([0, 4, 9])
    layers = dict(model.named_modules())
    expected = attr.LayerGradCam(MeanLogits(model), layers[layer]).attribute(x, classes, relu_attributions=True)
    found = grad_cam(model, x, layer, classes)
    assert expected.abs().sum() > 0
    torch.testing.assert_close(found.maps[0], expected[:, 0])


def test_equals_captum_on_the_folded_steps_of_a_sequence(lively):
    attr = pytest.importorskip("captum.attr", reason="captum is the oracle of this test")

    class OneRowPerFrame(nn.Module):
        """Each frame is a row for captum; the sum over rows of mean-over-steps logits has the gradient wanted."""

        def __init__(self, model, shape):
            super().__init__()
            self.model, self.shape = model, shape

        def forward(self, frames):
            return self.model(frames.view(self.shape)).flatten(0, 1) / self.shape[0]

    model, x = lively(steps=3, attention="tcja", batch=2)
    layer = "stages.2.0.conv2.conv"
    rows = OneRowPerFrame(model, x.shape)
    expected = attr.LayerGradCam(rows, dict(model.named_modules())[layer]).attribute(x.flatten(0, 1), 7)
    found = grad_cam(model, x, layer, 7, relu=False)
    torch.testing.assert_close(found.maps, expected.view(3, 2, *expected.shape[-2:]))


def test_by_hand_on_the_spikes_of_two_steps(small):
    """The current is the input; spikes at step 0: left, at step 1: right; the head weighs left 3 and right -1."""
    conv = nn.Conv2d(1, 1, 1, bias=False)
    model = small(conv, 2, num_classes=2, steps=2, in_channels=1)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        model.head.weight.copy_(torch.tensor([[3.0, -1.0], [0.0, 0.0]]))
    x = torch.tensor([[[2.0, 0.0]], [[0.0, 2.0]]], dtype=torch.float64)[:, None, None]
    assert model(x.double()).shape == (2, 1, 2)
    found = grad_cam(model, x, "fire", 0)
    # dy/ds = weight / T = (1.5, -0.5) at both steps; its mean over the two places is 0.5
    expected = torch.tensor([[[0.5, 0.0]], [[0.0, 0.5]]], dtype=torch.float64)[:, None]
    torch.testing.assert_close(found.maps, expected)
    torch.testing.assert_close(found.averaged(), torch.tensor([[[0.25, 0.25]]], dtype=torch.float64))


def test_by_hand_through_the_neuron_over_two_steps(small):
    """One pixel, currents 0.8 and 0.9, read by a weight of 2: the surrogate and the memory written out."""
    conv = nn.Conv2d(1, 1, 1, bias=False)
    model = small(conv, 1, num_classes=1, steps=2, in_channels=1)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        model.head.weight.fill_(2.0)
    x = torch.tensor([0.8, 0.9], dtype=torch.float64).view(2, 1, 1, 1, 1)
    u0, u1 = 0.8, 0.5 * 0.8 + 0.9  # no spike at step 0, a spike at step 1
    slope0, slope1 = 1 - abs(u0 - 1), 1 - abs(u1 - 1)  # triangle of width 1
    carried = 0.5 * (1 - u0 * slope0)  # du1/du0: the reset u * (1 - s) is differentiated too
    per_spike = 2.0 / 2  # weight over T
    expected = torch.tensor([per_spike * (slope0 + slope1 * carried) * 0.8, per_spike * slope1 * 0.9])
    found = grad_cam(model, x, "conv")
    torch.testing.assert_close(found.maps.flatten(), expected.double())


def test_time_matters(lively):
    model, x = lively(attention="dta")
    maps = grad_cam(model, x, "stages.1.0.conv1").maps
    assert maps.shape == (3, 4, 8, 8)
    assert not torch.allclose(maps[0], maps[1])


def test_the_predicted_class_is_the_default(lively):
    model, x = lively()
    predicted = model(x).mean(0).argmax(1)
    found = grad_cam(model, x)
    assert torch.equal(found.classes, predicted)
    assert torch.equal(found.maps, grad_cam(model, x, classes=predicted).maps)
    assert found.layer == "neuron"


@pytest.mark.parametrize(("name", "layer"), [("vggsnn", "neurons.7"), ("fashion_net", "neurons.1")])
def test_the_default_is_the_last_stage(lively, name, layer):
    model, x = lively(name, in_channels=2, attention="tcja")
    assert default_layer(model, x) == layer


def test_images_and_sequences(lively):
    model, x = lively(attention="txa")
    assert torch.equal(grad_cam(model, x[0]).maps, grad_cam(model, x[0].expand(3, -1, -1, -1, -1)).maps)


def test_leaves_the_model_as_it_was(lively, untouched):
    model, x = lively(attention="dta")
    untouched(model, lambda: grad_cam(model, x))


def test_leaves_the_model_as_it_was_after_an_error(lively, untouched):
    model, x = lively()

    def fail():
        with pytest.raises(ValueError, match="in_channels"):
            grad_cam(model, x[:, :, :1], "neuron")

    untouched(model, fail)


def test_works_without_gradients_around_and_with_frozen_weights(lively):
    model, x = lively()
    expected = grad_cam(model, x, "stages.1.0.conv1").maps
    model.requires_grad_(False)
    with torch.no_grad():
        assert torch.equal(grad_cam(model, x, "stages.1.0.conv1").maps, expected)


def test_scaled_goes_from_zero_to_one_and_keeps_zeros(lively):
    model, x = lively()
    with torch.no_grad():
        model.head.weight.zero_()
    scaled = grad_cam(model, x).scaled()
    assert not scaled.any()
    model, x = lively()
    scaled = grad_cam(model, x).scaled()
    assert float(scaled.max()) == 1
    assert float(scaled.min()) == 0


def test_upsample_keeps_the_leading_axes():
    maps = torch.rand(3, 2, 4, 4)
    assert torch.equal(upsample(maps, (8, 6))[1], F.interpolate(maps[1][:, None], (8, 6), mode="bilinear")[:, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "stem.konv"}, "Did you mean 'stem.conv'"),
        ({"layer": "head"}, "needs maps"),
        ({"classes": 10}, "classes 0 to 9"),
        ({"layer": "stem_neuron.attention.tna.embed"}, "neither T=3, B=4"),
    ],
)
def test_mistakes_are_sentences(lively, arguments, message):
    model, x = lively(attention="dta")
    with pytest.raises(ValueError, match=message):
        grad_cam(model, x, **arguments)


def test_a_layer_that_runs_often_is_refused(lively):
    model, x = lively("vggsnn")
    with pytest.raises(ValueError, match="ran 4 times"):
        grad_cam(model, x, "pool")
