"""Episodes: their shape, sampling and scoring."""
