"""A small few-shot learning library: episodes, algorithms, one training loop, honest evaluation.

Import what you need from its modules, for instance ``from fsl_core.training.trial import run_trial``. It needs torch, torchvision and
numpy alone; the sweep that drives it lives in :mod:`orchestrator`.
"""
