"""Training: the step, the loop, the trial with its checkpoints, and how it is computed."""
