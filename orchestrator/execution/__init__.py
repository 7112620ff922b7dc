"""Runs trials: the same function in this process or on a Ray cluster."""
