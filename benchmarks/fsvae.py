"""The fully spiking VAE against the published form: one training step, and sampling from the prior.

    python benchmarks/fsvae.py [--batch 50] [--width 1] [--latent 128] [--rounds 7] [--threads N] [--keep-heap]

The published form is tests/unit/fsvae_prefix.py: time last, autograd through every step, the whole prefix again at
every step of posterior and prior. "prefixes only" is ours with the posterior's prefixes put back and nothing else
changed: what is between it and ours is the gain of the walk alone. Same weights, images and picks. The published form
allocates more, so it gains more where malloc keeps its heap (--keep-heap). Writes results/fsvae.json, or
results/fsvae-heap-kept.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from types import MethodType

import torch
from torch import Tensor

import saccade
from saccade.atomic import write_text
from saccade.bench.timing import environment, interleave, keep_heap, summary
from saccade.models.fsvae import FSVAE, Posterior
from saccade.models.fsvae.latent import pick
from saccade.train.learning.generation import losses

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit"))
import fsvae_prefix as plain

RESULTS = Path(__file__).parent / "results"


def prefixes(self: Posterior, x: Tensor, index: Tensor) -> Tensor:
    """The posterior's walk as published, for an otherwise unchanged network."""
    before = torch.zeros_like(x)
    with torch.no_grad():
        for t in range(x.shape[0] - 1):
            q = self.outputs(torch.cat([x[: t + 1], before[: t + 1]], -1))
            before[t + 1] = pick(q[t], index[t])
    return before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--latent", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--keep-heap", action="store_true")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.keep_heap:
        keep_heap()

    models: dict[str, FSVAE] = {}
    for name in ("published form", "prefixes only", "ours"):
        torch.manual_seed(0)
        model = saccade.create_model("fsvae", width=options.width, latent=options.latent)
        assert isinstance(model, FSVAE)
        models[name] = model
    prefixed = models["prefixes only"].posterior
    prefixed._walk = MethodType(prefixes, prefixed)  # type: ignore[method-assign]
    images = torch.rand(options.batch, 1, 32, 32) * 2 - 1
    index = models["ours"].posterior.draw_index(16, options.batch, images.device)

    def step(name: str) -> None:
        model = models[name].train()
        if name == "published form":
            loss = plain.loss(model, images, index)
        else:
            loss = torch.stack(losses(model(images, index=index), images, "mmd")).sum()
        model.zero_grad()
        loss.backward()

    def sample(name: str) -> None:
        model = models[name].eval()
        with torch.no_grad():
            if name == "published form":
                plain.decode(model, plain.sample_prior(model.prior, index))
            else:
                model.sample(options.batch, index)

    found = {
        "training step": interleave({name: lambda name=name: step(name) for name in models}, options.rounds),
        "sampling": interleave(
            {name: lambda name=name: sample(name) for name in ("published form", "ours")}, options.rounds
        ),
    }
    report = {
        "sizes": {key: getattr(options, key) for key in ("batch", "width", "latent", "rounds")}
        | {"steps": 16, "k": 20},
        "heap_kept": options.keep_heap,
        "results": {what: summary(times, "published form") for what, times in found.items()},
        "environment": environment(images.device),
    }
    write_text(
        RESULTS / ("fsvae-heap-kept.json" if options.keep_heap else "fsvae.json"), json.dumps(report, indent=2) + "\n"
    )
    for what, rows in report["results"].items():
        for name, row in rows.items():
            print(f"{what:14} {name:15} {row['ms_median']:9.1f} ms   x {row['speedup_median']:.2f}")


if __name__ == "__main__":
    main()
