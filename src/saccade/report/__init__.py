"""Tables, figures and the self-contained page of a run, from JSON and arrays alone.

`write_report(["runs/a", "runs/b"], out)` writes report.html and report.md; `saccade.report.figures` holds the figures,
as functions of arrays.
"""
