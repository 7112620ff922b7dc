"""Episodes: their shape, how they are sampled, and how answers to them are scored."""
