"""The headings of a run's page, in their order."""

HEADINGS = (
    "Summary",
    "Configuration",
    "Learning curves",
    "Confusion matrix",
    "Accuracy against steps",
    "Gates",
    "Grad-CAM",
    "Firing",
    "Energy",
    "Timing",
    "Environment",
)
