"""Few-shot learning algorithms: one paper, one file."""
