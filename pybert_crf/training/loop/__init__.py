"""The loop of every task: order of batches, optimiser, checks, checkpoints, the directory of a run."""
