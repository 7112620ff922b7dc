"""Runs trials by one function, in this process or on a Ray cluster."""
