"""Recipes and evaluations: their settings and fingerprints. Imports no torch."""
