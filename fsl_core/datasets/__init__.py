"""Data sets: images by class, split by class, prepared once and shared by every trial of a machine."""
