"""`saccade bench`, at sizes that take seconds."""

from __future__ import annotations

import json

import pytest

from saccade.cli import main


@pytest.mark.slow
def test_everything_runs_and_the_tables_are_printed(tmp_path, capsys):
    output = tmp_path / "bench.json"
    assert main(["bench", "--quick", "--rounds", "2", "--output", str(output)]) == 0
    result = json.loads(output.read_text())
    assert {"roofline", "lif", "modules", "networks", "binary", "scaling", "versions", "hardware"} <= set(result)
    shown = capsys.readouterr().out
    assert "msresnet18 + DTA, inference" in shown
    assert "dvsgesture_net + TCJA, gate on the current, inference" in shown


def test_mistakes_are_sentences(tmp_path, capsys):
    for words, sentence in (
        (["--rounds", "1"], "rounds must be a whole number, 2 or more, not 1."),
        (["--output", str(tmp_path / "no" / "where.json")], "where.json does not exist"),
        (["liff", "--output", str(tmp_path / "x.json")], "Unknown benchmark 'liff'. Did you mean 'lif'"),
    ):
        assert main(["bench", *words]) == 2
        assert sentence in capsys.readouterr().err
