"""Networks that a function builds: it is given what it names, and the rest is done to its network here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from saccade.chain import NeuronLink
from saccade.models.network import Classifier
from saccade.nn.neuron import LIF

#: the attention of a network as it is written
OWN = "own"
#: what every data set decides: a function that does not take them has to build what fits
SIZES = ("num_classes", "steps", "in_channels")


def build_written(
    function: Callable[..., Classifier],
    *,
    attention: str = OWN,
    attention_options: Mapping[str, Any] | None = None,
    placement: str | None = None,
    backend: str = "auto",
    input_size: tuple[int, int] | None = None,
    width: float = 1.0,
    **options: Any,
) -> Classifier:
    """The network of a function, with the options that every network has.

    Args:
        function: returns a `Sequential` (or another `Classifier`); is given those options that it names.
        attention, attention_options, placement: gates in place of the network's own ("none": nothing there), or, if it
            has none, for every neuron that fires frames; unless the function takes `attention` and places them itself.
        backend: of all neurons.
        width: has to be 1 unless the function takes it.
        **options: `num_classes`, `steps`, `in_channels`, and the function's own.

    Raises:
        ValueError: an option that the function neither takes nor fits; a function that returns something else.
    """
    common = {
        **({} if attention == OWN else {"attention": attention}),
        "attention_options": attention_options,
        "placement": placement,
        "backend": backend,
        "input_size": input_size,
        "width": width,
    }
    takes, name = inspect.signature(function).parameters, function.__name__
    given = {key: value for key, value in {**common, **options}.items() if key in takes}
    if width != 1.0 and "width" not in takes:
        raise ValueError(f"{name} takes no width, but width={width:g} was asked for. Let the function take `width`.")
    model = function(**given)
    if not isinstance(model, Classifier):
        raise ValueError(
            f"{name} has to return a saccade.Sequential or another Classifier, not {type(model).__name__}."
        )
    for size in SIZES:
        if size in options and getattr(model, size) != options[size]:
            raise ValueError(
                f"{name} built a network with {size}={getattr(model, size)}, but {size}={options[size]} is needed. Let "
                f"the function take `{size}` and use it."
            )
    if model.input_size is None:
        model.input_size = input_size
    if "backend" not in takes:
        for module in model.modules():
            if isinstance(module, LIF):
                module.backend = backend
    if attention != OWN and "attention" not in takes:
        model.put_gates(attention, ",".join(gated_places(model)) or "all", placement, **(attention_options or {}))
    return model


def gated_places(model: Classifier) -> list[str]:
    """The neurons that have a gate."""
    return [link.name for link in model.chain.walk() if isinstance(link, NeuronLink) and link.gate is not None]
