"""Benchmarks of the training step against peers and an earlier commit. The packages do not import this."""
