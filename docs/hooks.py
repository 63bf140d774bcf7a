"""What the site shows beside docs/: the files of the root, pictures of results, notebooks, the reference, the demo."""

from __future__ import annotations

import ast
import json
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "saccade"
CODE = re.compile(r"(?<!`)`(saccade[\w.]*)(?:\(\))?`(?!`)")
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")

#: pages of the site that lie in the root
FROM_ROOT = {"index.md": "README.md"} | {
    f"project/{name}.md": f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "LOG", "SECURITY")
}
#: rooms of the house whose `__all__` is public
ROOMS = (
    "saccade",
    *("saccade.ablate", "saccade.chain", "saccade.demo", "saccade.engines", "saccade.export", "saccade.models"),
    *("saccade.data", "saccade.nn", "saccade.ops", "saccade.probe", "saccade.recipes"),
    *("saccade.data.augment", "saccade.data.events", "saccade.engines.inference", "saccade.models.fsvae"),
    *("saccade.nn.attention", "saccade.report.figures"),
)
#: rooms that import nothing by themselves, with what is public in their files
FILES_OF = {
    "saccade.train": (
        "saccade.train.config.Experiment",
        "saccade.train.run.train",
        "saccade.train.evaluate.evaluate",
        "saccade.train.evaluate.Scores",
        "saccade.train.device.Machine",
        "saccade.train.device.choose_machine",
        "saccade.train.losses",
        "saccade.train.learning.schedule",
    ),
    "saccade.report": ("saccade.report.build.write_report", "saccade.report.build.WrittenReport", "saccade.tables"),
}


def public_names(room: str) -> list[str]:
    """The names of a room's `__all__`, read and not imported."""
    file = PACKAGE.parent.joinpath(*room.split("."), "__init__.py")
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return list(ast.literal_eval(node.value))
    raise ValueError(f"{file} has no __all__.")


def named() -> dict[str, Sequence[str]]:
    """What is public, by room."""
    return {room: [f"{room}.{name}" for name in public_names(room)] for room in ROOMS} | FILES_OF


def reference() -> dict[str, str]:
    """Pages by their place: every public name of every room, with its docstring."""
    return {f"reference/{room}.md": _room(room, names) for room, names in named().items()}


def _room(room: str, names: Sequence[str]) -> str:
    options = "{members: false, show_root_heading: false, show_root_toc_entry: false}"
    head = f"# {room}\n\n::: {room}\n    options: {options}\n"
    return head + "".join(f"\n::: {name}\n{_options(room, name)}" for name in names)


def _options(room: str, name: str) -> str:
    """A module among the names of a room is described, and its content is not repeated."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    is_module = path.is_dir() or path.with_suffix(".py").exists()
    return "    options: {members: false}\n" if is_module and room not in FILES_OF else ""


def notebook(path: Path) -> str:
    """A notebook as Markdown: its text, and its code as code."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = [
        "".join(cell["source"]) if cell["cell_type"] == "markdown" else f"```python\n{''.join(cell['source'])}\n```"
        for cell in cells
    ]
    return "\n\n".join(parts) + f"\n\nThe notebook itself: `notebooks/{path.name}`.\n"


def sources(docs: Path) -> dict[str, Path]:
    """Where each page of the site lies in the repository; the pictures that pages show, too."""
    found = {path.relative_to(docs).as_posix(): path for path in docs.rglob("*.md")}
    found |= {uri: ROOT / name for uri, name in FROM_ROOT.items()}
    found |= {f"notebooks/{path.stem}.md": path for path in (ROOT / "notebooks").glob("*.ipynb")}
    for path in list(found.values()):
        for _, _, link, _ in LINK.findall(path.read_text(encoding="utf-8")) if path.suffix == ".md" else ():
            target = (path.parent / link).resolve()
            if target.suffix == ".png" and target.is_file():
                inside = docs if target.is_relative_to(docs) else ROOT
                found[target.relative_to(inside).as_posix()] = target
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what does not lie in docs/."""
    for uri, path in sources(Path(config.docs_dir)).items():
        if path.suffix == ".ipynb":
            files.append(File.generated(config, uri, content=notebook(path)))
        elif uri not in files.src_uris:
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    for uri, text in reference().items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between files of the repository become links between pages; those to code, the name of the file.

    A public name that is set as code becomes a link to its place in the reference.
    """
    found = sources(Path(config.docs_dir))
    own = page.file.src_uri
    if own not in found:
        return markdown
    places = {path.resolve(): uri for uri, path in found.items()}

    def moved(match: re.Match[str]) -> str:
        picture, text, link, anchor = match.groups()
        target = (found[own].parent / link).resolve()
        if target in places:
            to = posixpath.relpath(places[target], posixpath.dirname(own))
            return f"{picture}[{text}]({to}{anchor or ''})"
        if target.exists() and target.is_relative_to(ROOT):
            return f"{text} (`{target.relative_to(ROOT).as_posix()}`)"
        return match[0]

    public = {name for names in named().values() for name in names}

    def referred(match: re.Match[str]) -> str:
        return f"[{match[0]}][{match[1]}]" if match[1] in public else match[0]

    return CODE.sub(referred, LINK.sub(moved, markdown))


def on_post_build(config: MkDocsConfig) -> None:
    """The demo, whole, where its page shows it."""
    from saccade.demo import write_demo

    write_demo(Path(config.site_dir) / "demo" / "live")
