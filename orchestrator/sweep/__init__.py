"""Sweep files, presets, cells, and the plan of trials that cells share."""
