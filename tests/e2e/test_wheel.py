"""What people install: a source distribution, the wheel built from it, and that wheel in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import saccade

ROOT = Path(__file__).parents[2]
LARGEST_WHEEL_MB, LARGEST_SDIST_MB = 12, 30
#: what the package is not whole without, by the folder below saccade/
PARTS = {
    "": {"py.typed", "__main__.py"},
    "demo/page": {"index.html", "app.js", "networks.json", "digits-dta.onnx", "ort"},
    "models/pretrained": {"digits-dta.safetensors", "digits-tcja.json", "digits-none.npz"},
    "recipes": {"digits.py", "events.py"},
    "report/templates": {"page.html.j2", "style.css"},
    "data/events/splits": {"cifar10-dvs.json"},
    "train/images/instruments": {"mnist.safetensors"},
}

pytestmark = pytest.mark.slow


def run(words: list[str], cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory) -> Path:
    pytest.importorskip("build")
    out = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)], out)
    return out


def test_the_wheel_is_whole_and_small(dist):
    (wheel,) = dist.glob("*.whl")
    assert wheel.stat().st_size < LARGEST_WHEEL_MB * 1e6
    names = zipfile.ZipFile(wheel).namelist()
    for folder, parts in PARTS.items():
        below = f"saccade/{folder}/".replace("//", "/")
        assert parts <= {name.removeprefix(below).split("/")[0] for name in names if name.startswith(below)}, folder
    (licence,) = [name for name in names if name.endswith("/LICENSE") and ".dist-info/" in name]
    assert zipfile.ZipFile(wheel).read(licence) == (ROOT / "LICENSE").read_bytes()
    assert {name.split("/")[0] for name in names} == {"saccade", f"saccade-{saccade.__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".nbi", ".nbc"))]


def test_the_source_distribution_is_whole_and_small(dist):
    (sdist,) = dist.glob("*.tar.gz")
    assert sdist.stat().st_size < LARGEST_SDIST_MB * 1e6
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CITATION.cff", "docs/speed.md", "tests/conftest.py", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith((".venv/", "site/", "runs/", "dist/"))]


def test_the_wheel_works_from_an_empty_folder(dist, tmp_path):
    """In an environment that sees this one's libraries, and not this one's saccade."""
    (wheel,) = dist.glob("*.whl")
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    (packages,) = {path.resolve() for path in home.rglob("site-packages")}
    install = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    run([sys.executable, "-m", "pip", "--python", str(python), *install], tmp_path)
    libraries = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    (packages / "libraries.pth").write_text("".join(f"{path}\n" for path in libraries))
    empty = tmp_path / "empty"
    empty.mkdir()

    said = run([str(python.with_name("saccade")), "doctor"], empty)
    assert f"saccade    {saccade.__version__}".split() in [line.split() for line in said.splitlines()]
    lines = "import saccade\nprint(saccade.__file__, saccade.create_model(weights='digits-dta').steps)"
    file, steps = run([str(python), "-W", "error", "-c", lines], empty).split()
    assert Path(file).is_relative_to(home)
    assert int(steps) == 5
    run([str(python.with_name("saccade")), "demo", "--out", "page"], empty)
    assert (empty / "page" / "ort").is_dir()


def test_what_the_container_copies_is_enough_to_build_from(tmp_path):
    pytest.importorskip("hatchling")
    copied = [
        name
        for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
        if line.startswith("COPY ")
        for name in line.split()[1:-1]
    ]
    source = tmp_path / "src"
    source.mkdir()
    for name in copied:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path)]
    run([sys.executable, "-m", "pip", *build, str(source)], tmp_path)
    assert list(tmp_path.glob("saccade-*.whl"))
