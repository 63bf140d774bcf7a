"""Write the tables of docs/scale.md from benchmarks/results/scale.json.

python benchmarks/scale_table.py            # rewrite the section between the markers
python benchmarks/scale_table.py --check    # exit 1 if the page is not what this would write
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from pages import ROOT, rewrite, table
from scale_model import imagenet_rows, rate_rows, two_processes

RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
#: above, others used the cores, and timings are not to be compared
QUIET = 0.5
#: of the whole campaign
KILLS = 10


def origin(part: dict[str, Any]) -> str:
    """Where a part was measured, in a line."""
    o = part["origin"]
    load = o["load_of_others_when_it_began"]
    busy = f" **Others used the cores (load {load:g}): timings are worse than alone.**" if load > QUIET else ""
    return f"{o['hardware']}, torch {o['versions']['torch']}, commit {str(o['commit'])[:12]}, seed {o['seed']}.{busy}"


def equal(part: dict[str, Any]) -> str:
    rows: list[Sequence[str]] = [("case", "steps", "weights differ by at most", "losses, relatively")]
    for case in part["cases"]:
        differences = ("largest_difference_of_weights", "largest_relative_difference_of_losses")
        rows.append((case["case"], str(case["steps"]), *(f"{case[name]:.1e}" for name in differences)))
    return (
        f"### Two processes against one\n\n{part['precision']}, {part['batch_norm']} batch norm, {part['backend']}, "
        f"the same batches.\n\n{table(rows)}\n\nAdam, which the VAE is trained with, divides gradients that are "
        "rounding alone by their own size."
    )


def kills(part: dict[str, Any]) -> str:
    rows: list[Sequence[str]] = [
        ("killed", "after epochs", "ended after, s", "resumed with", "largest difference", "left")
    ]
    for run in part["runs"]:
        rows.append(
            (
                f"process {run['killed_rank']}",
                str(run["after_epochs"]),
                f"{run['seconds_until_the_end']:.1f}",
                str(run["resumed_with"]),
                f"{run['largest_difference_of_weights']:.1e}",
                str(run["processes_left"]),
            )
        )
    short = f"Only {len(part['runs'])} of {KILLS} were made yet. " if len(part["runs"]) < KILLS else ""
    return (
        f"### One of two processes killed at random moments\n\n{table(rows)}\n\n{short}Difference: of the weights to "
        "the undisturbed run's. Left: processes."
    )


def grid(part: dict[str, Any]) -> str:
    same = "the same table as undisturbed" if part["same_table"] else "ANOTHER TABLE than undisturbed"
    return (
        f"### A grid of {part['runs']} runs over two raylets\n\nKilled at random moments: {', '.join(part['events'])}. "
        f"Result: {same}; records written twice: {part['records_written_twice']}; runs whose last epoch was trained "
        f"twice: {part['last_epochs_trained_twice']}; raylets that trained at the same time: "
        f"{part['raylets_that_trained_at_once']}; processes left behind by the grid: "
        f"{part['workers_left_with_the_cluster']}, and by the cluster once it was ended: {part['processes_left']}."
    )


def throughput(part: dict[str, Any]) -> str:
    rows: list[Sequence[str]] = [("way", "seconds per step, median", "least", "most")]
    rows += [(w, *(f"{t[k]:.3f}" for k in ("median", "least", "most"))) for w, t in part["seconds_per_step"].items()]
    expected, found = two_processes(part)
    sent = part["all_reduce"]
    return (
        f"### Two processes on two cores\n\n{table(rows)}\n\nAn all-reduce of the {part['parameters']:,} gradients "
        f"takes {1000 * sent['seconds']:.2f} ms over loopback ({sent['bytes_per_second'] / 1e9:.2f} GB/s). Half the "
        f"batch and then an all-reduce would be {expected:.3f} s a step; two processes really take {found:.3f} s."
    )


def ray(part: dict[str, Any]) -> str:
    return (
        f"### Ray's overhead\n\nStarting and ending Ray once: {part['seconds_to_start_and_end_ray_once']:.1f} s. A "
        f"tiny run takes {part['seconds_per_run_on_ray']:.1f} s on Ray and "
        f"{part['seconds_of_a_run_in_a_process_of_its_own']:.1f} s in a process of its own: "
        f"{part['overhead_per_run']:+.1f} s per run."
    )


def pictures(part: dict[str, Any]) -> str:
    rates = part["images_per_second_and_core"]
    rows: list[Sequence[str]] = [("way", "images per second and core")]
    rows += [(way, f"{found['median']:.0f}") for way, found in rates.items()]
    ours = rates["saccade, shards"]["median"]
    where = part["origin"]["hardware"]
    return (
        f"### Pictures at 224 x 224\n\n{table(rows)}\n\n{part['pictures']}; seconds of the process's own time, five "
        "passes in turn, median.\n\n"
        "### ImageNet on H200 GPUs, by a model\n\n`imagenet-dta`, batches of 128 on each GPU. Nothing of this was run."
        "\n\n"
        f"{table(imagenet_rows(ours))}\n\n{table(rate_rows(ours, where))}"
    )


PARTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "equal": equal,
    "kills": kills,
    "grid": grid,
    "throughput": throughput,
    "ray": ray,
    "input": pictures,
}


def main() -> None:
    content = json.loads(RESULTS.read_text(encoding="utf-8"))
    missing = [name for name in PARTS if name not in content]
    texts = [f"Not measured yet: {', '.join(missing)} (`python benchmarks/scale.py`)."] if missing else []
    texts += [f"{write(content[name])}\n\n{origin(content[name])}" for name, write in PARTS.items() if name in content]
    rewrite("docs/scale.md", "scale_table.py", {"measured": "\n\n".join(texts)}, "--check" in sys.argv)


if __name__ == "__main__":
    main()
