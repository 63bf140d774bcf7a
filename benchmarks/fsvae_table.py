"""The fully spiking VAE on full MNIST, with its own read-out and with TCJA before it, 3 seeds each.

    python benchmarks/fsvae_table.py [--seeds 3] [--epochs N] [--tables-only]

One run after the other, each in one thread. Every cell is `saccade train mnist-fsvae-small --resume` and `saccade
generate --metrics`: a killed script goes on where it was. It leaves results/mnist-fsvae/CELL.json, the grids of seed 0
in docs/figures/fsvae and, at the end, the tables in docs/fsvae.md. Whether the digits are recognised comes from
fsvae_recognised.py; --tables-only then writes the tables again. Data is looked for in $SACCADE_DATA.

Training is timed by the processor, not by the clock, so that the times of a shared machine compare.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pages import ROOT, rewrite, spread, table
from saccade.atomic import write_text

RECIPE, NAME = "mnist-fsvae-small", "mnist-fsvae"
ATTENTIONS = ("none", "tcja")
RUNS, RESULTS = ROOT / "runs" / NAME, ROOT / "results" / NAME
FIGURES = ROOT / "docs" / "figures" / "fsvae"
SPEED = [ROOT / "benchmarks" / "results" / name for name in ("fsvae.json", "fsvae-heap-kept.json")]
#: one thread each; freed memory is kept, which saves a third of the time of a step
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "1000000000000",
}
HEADER = (
    *("attention", "runs", "reconstruction", "Fréchet autoencoder", "recognised", "samples unanimous"),
    *("firing rate", "energy to sample", "training"),
)


def run_cell(attention: str, seed: int, options: list[str]) -> None:
    cell = f"{attention}-seed{seed}"
    if (RESULTS / f"{cell}.json").exists():
        return
    run_dir = RUNS / cell
    whole = not run_dir.exists()
    words = ["train", RECIPE, "--attention", attention, "--seed", str(seed), *options]
    processor_seconds = run(*words, "--run-dir", str(run_dir), "--resume")
    run("generate", str(run_dir), "--metrics")
    keep(run_dir, cell, processor_seconds if whole else None, attention if seed == 0 else None)


def run(*words: str) -> float:
    """Run `saccade WORDS` to its end; the processor time that it took, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = subprocess.run([sys.executable, "-m", "saccade", *words], cwd=ROOT, env={**os.environ, **ENVIRONMENT})
    if code.returncode:
        sys.exit("A run failed; see above. Run this script again to go on.")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def keep(run_dir: Path, cell: str, processor_seconds: float | None, figures: str | None) -> None:
    generated = run_dir / "generated"
    result, config, scores = (
        json.loads(file.read_text())
        for file in (run_dir / "result.json", run_dir / "config.json", generated / "metrics.json")
    )
    found = {
        **result,
        # without this machine's folders
        "experiment": {key: value for key, value in config.items() if key != "data_root"},
        # of the whole command, scoring included; not known of a run that was killed and went on
        "processor_seconds": processor_seconds and round(processor_seconds, 1),
        "malloc_environment": {key: value for key, value in ENVIRONMENT.items() if key.startswith("MALLOC_")},
        "generate": scores,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    write_text(RESULTS / f"{cell}.json", json.dumps(found, indent=2) + "\n")
    if figures is not None:
        FIGURES.mkdir(parents=True, exist_ok=True)
        for picture in generated.glob("*.png"):
            shutil.copyfile(picture, FIGURES / f"{figures}-{picture.name}")


def known(values: list[float], runs: int, digits: int, unit: str) -> str:
    """Mean and spread of the runs whose number is known, and how many these are if not all."""
    if not values:
        return "not known"
    some = f" ({len(values)} of {runs} runs)" if len(values) < runs else ""
    return f"{spread(values, digits)} {unit}{some}"


def percent(runs: list[dict[str, Any]], name: str) -> str:
    return known([100 * r["recognised"][name] for r in runs if "recognised" in r], len(runs), 1, "%")


def row(runs: list[dict[str, Any]]) -> tuple[str, ...]:
    return (
        runs[0]["attention"],
        str(len(runs)),
        spread([r["test_reconstruction"] for r in runs], 4),
        spread([r["frechet_autoencoder_distance"] for r in runs], 2),
        percent(runs, "reconstruction"),
        percent(runs, "sample_unanimous"),
        spread([r["firing_rate"] for r in runs], 3),
        spread([1000 * r["generate"]["energy"]["energy_mj_to"]["sample"] for r in runs], 1) + " µJ",
        known([r["processor_seconds"] / 60 for r in runs if r["processor_seconds"]], len(runs), 1, "min"),
    )


def results_table() -> str:
    found = [json.loads(file.read_text()) for file in sorted((RESULTS).glob("*.json"))]
    by_attention = {a: [r for r in found if r["attention"] == a] for a in ATTENTIONS}
    first = found[0]
    seeds = "; ".join(f"{a} {', '.join(str(r['seed']) for r in runs)}" for a, runs in by_attention.items() if runs)
    note = (
        f"`{RECIPE}`, {first['epochs']} epochs, mean ± sample standard deviation over seeds; last epoch, none chosen "
        f"by its score. Fréchet: {first['frechet_autoencoder_distance_is']}. {recognised_note(found)}Training: "
        "processor time of the whole command, test included, in one thread with the heap kept; not known of a run that "
        "was stopped and went on. Machine: "
        f"{first['hardware']}, shared with other programs. Seeds: {seeds}. JSON: `results/{NAME}`."
    )
    return f"{table([HEADER, *(row(runs) for runs in by_attention.values() if runs)])}\n\n{note}"


def recognised_note(found: list[dict[str, Any]]) -> str:
    """What the judge of benchmarks/fsvae_recognised.py is worth, if it was asked."""
    answers = [r["recognised"] for r in found if "recognised" in r]
    if not answers:
        return ""
    return (
        f"Recognised: reconstructions that get the digit of their image, and samples whose neighbours all agree, "
        f"{answers[0]['is']} (`benchmarks/fsvae_recognised.py`); the test images themselves: "
        f"{100 * answers[0]['test']:.1f} % and {100 * answers[0]['test_unanimous']:.1f} %. "
    )


def speed_table() -> str:
    lines = ["| malloc | | form | median | times as fast |", "| --- | --- | --- | --- | --- |"]
    notes = []
    for found in [json.loads(file.read_text()) for file in SPEED]:
        sizes, machine = found["sizes"], found["environment"]
        heap = "heap kept" if found["heap_kept"] else "as it is"
        for what, forms in found["results"].items():
            for form, times in forms.items():
                ratio, low, high = (times[f"speedup_{quantile}"] for quantile in ("median", "q1", "q3"))
                numbers = f"{times['ms_median']:.0f} ms | {ratio:.1f} ({low:.1f} to {high:.1f})"
                lines.append(f"| {heap} | {what} | {form} | {numbers} |")
        notes.append(f"{machine['load_average']:.1f} ({heap})")
    setting = f"Batch of {sizes['batch']}, width {sizes['width']:g}, {sizes['latent']} latents, T = {sizes['steps']}"
    lines += [
        "",
        f"{setting}; {sizes['rounds']} interleaved rounds, quartiles in brackets. {machine['hardware']}, threads: "
        f"{machine['threads']}, load average {', '.join(notes)}. `benchmarks/fsvae.py`, JSON: `benchmarks/results`.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--tables-only", action="store_true")
    options = parser.parse_args()
    if not options.tables_only:
        for seed in range(options.seeds):
            for attention in ATTENTIONS:
                run_cell(attention, seed, [] if options.epochs is None else ["--epochs", str(options.epochs)])
    rewrite("docs/fsvae.md", "fsvae_table.py", {"results": results_table(), "speed": speed_table()})


if __name__ == "__main__":
    main()
