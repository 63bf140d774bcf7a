"""Run the experiments behind the README's tables: grids of `saccade ablate`, one process a run.

    python benchmarks/experiments.py nmnist digits ...      # names as in EXPERIMENTS; none: all of them
    python benchmarks/experiments.py --jobs 2 digits        # two runs at a time
    python benchmarks/tables.py                             # then write the tables

A killed script goes on where it was. What it leaves is results/EXPERIMENT/: a JSON record per run, the table as
Markdown, CSV and LaTeX, and a figure. Data is looked for in $SACCADE_DATA.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
from pathlib import Path

from saccade.cli import main as saccade

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "runs" / "experiments"
RESULTS = ROOT / "results"
EIGHT = "attention=none,matched:tcja,tla,cla,tcja,txa,tna,dta"
FOUR = "attention=none,tcja,dta,fsta"
EVERY = "attention=none,tla,cla,tcja,txa,tna,dta,ta,ca,sa,tca,tsa,csa,tcsa,tasnn,gac,fsta,stca,stsc,qk,se,eca,cbam"
#: what a core does in half a minute: networks that have learned, and are far from what they can
DIGITS = "--seeds 3 --epochs 3"
FASHION = "--seeds 3 --data fashion-mnist --image-size 16 --steps 2 --epochs 1 --batch-size 16 --max-batches 120"

#: name -> what `saccade ablate` is called with
EXPERIMENTS = {
    "digits": f"digits-dta --vary {EIGHT} --seeds 5",
    "digits-causal": "digits-dta --vary attention=tcja,dta attention_options.causal=true --seeds 5",
    "nmnist": f"nmnist-tcja --vary {EIGHT} --seeds 5",
    "nmnist-causal": "nmnist-tcja --vary attention=tcja,dta attention_options.causal=true --seeds 4",
    "mnist-short": "mnist-tcja --vary attention=none,matched:tcja,tcja,dta --seeds 3 --width 0.125 --epochs 1",
    "mnist": "mnist-tcja --vary attention=tcja --seeds 1",
    "cifar10-jpeg": "cifar10-jpeg-dta --vary attention=none,dta --seeds 1",
    "digits-sew-gates": f"digits-sew --vary {FOUR} {DIGITS}",
    "digits-spikformer-gates": f"digits-spikformer --vary {FOUR} {DIGITS}",
    "digits-qkformer-gates": f"digits-qkformer --vary {FOUR} {DIGITS}",
    "digits-gates": f"digits-dta --vary {EVERY} {DIGITS}",
    "fashion-sew-gates": f"digits-sew --vary {FOUR} {FASHION}",
    "fashion-spikformer-gates": f"digits-spikformer --vary {FOUR} {FASHION}",
    "fashion-qkformer-gates": f"digits-qkformer --vary {FOUR} {FASHION}",
    "fashion-gates": f"digits-dta --vary {EVERY} {FASHION}",
}


def main() -> int:
    """Run the named grids, or all, and keep their records and tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="EXPERIMENT", help=", ".join(EXPERIMENTS))
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(EXPERIMENTS)
    if unknown:
        parser.error(f"unknown experiments: {', '.join(sorted(unknown))}; known: {', '.join(EXPERIMENTS)}")
    failed = 0
    for name in arguments.names or EXPERIMENTS:
        where = ["--jobs", str(arguments.jobs), "--out", str(RUNS / name)]
        failed |= saccade(["ablate", *shlex.split(EXPERIMENTS[name]), *where])
        keep(RUNS / name, RESULTS / name)
    return failed


def keep(grid: Path, results: Path) -> None:
    """Copy what belongs into the repository: records, tables, figure."""
    results.mkdir(parents=True, exist_ok=True)
    for path in (*grid.glob("records/*.json"), *grid.glob("table.*"), *grid.glob("accuracy.png")):
        shutil.copy(path, results / path.name)


if __name__ == "__main__":
    raise SystemExit(main())
