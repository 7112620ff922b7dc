"""A small few-shot learning library: episodes, algorithms, one training loop, honest evaluation.

Import from its modules, for instance ``from fsl_core.training.trial import run_trial``. It needs only torch, torchvision and
numpy; :mod:`orchestrator` runs sweeps with it.
"""
