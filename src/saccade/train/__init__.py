"""Learning: the experiment record, losses, the Lightning task, callbacks and the run folder.

Imports nothing by itself: `saccade.train.config` must stay free of torch, for the command line. Take
`saccade.train.run.train` to train and `saccade.train.evaluate.evaluate` to score.
"""
