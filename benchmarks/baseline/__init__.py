"""The training loop of commit 3b468da: what every figure is held against. It stays as it is."""
