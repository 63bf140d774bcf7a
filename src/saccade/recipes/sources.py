"""Where the scores that papers report were read: none of the tables was at hand to check them against."""

DTA = "DTA-SNN, WACV 2025, arXiv 2503.10052; quoted from memory"
TCJA = "TCJA-SNN, IEEE TNNLS 2024, arXiv 2206.10177; quoted from memory"
TCJA_ISSUE = "TCJA-SNN, IEEE TNNLS 2024, arXiv 2206.10177; quoted from issue 1 of the authors' repository"
FSVAE = "FSVAE, AAAI 2022, arXiv 2110.00375; read by eye off a picture of the table in the authors' repository"
SPIKFORMER = "Spikformer, ICLR 2023, arXiv 2209.15425; quoted from memory"
QKFORMER = "QKFormer, NeurIPS 2024, arXiv 2403.16552; quoted from a table of others"
SDT = "Spike-driven Transformer, NeurIPS 2023, arXiv 2307.01694; quoted from a table of others"
