"""Training: the step, the loop, the trial with its checkpoints, and its execution path."""
