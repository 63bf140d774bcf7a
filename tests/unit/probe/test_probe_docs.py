"""docs/inside.md says what the code does."""

import re
from pathlib import Path

from saccade.probe.costs import TABLES

PAGE = (Path(__file__).parents[3] / "docs" / "inside.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(compile(example, "docs/inside.md", "exec"), {})
    assert capsys.readouterr().out.startswith("torch.Size([4, 2, ")


def test_the_costs_are_those_of_the_tables():
    rows = re.findall(r"^\| `(45nm-\w+)`.*?\| (.*?) \|$", PAGE, re.M)
    assert {name for name, _ in rows} == set(TABLES)
    for name, cells in rows:
        table = TABLES[name]
        said = [float(cell.removesuffix(" pJ")) for cell in cells.split(" | ")]
        assert said == [table.mac_pj, table.ac_pj, table.mul_pj, table.add_pj, table.function_pj]
        assert "10.1109/ISSCC.2014.6757323" in table.source
