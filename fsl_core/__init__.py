"""A small few-shot learning library: episodes, algorithms, one training loop, honest evaluation.

Import from its modules, for instance ``from fsl_core.training.trial import run_trial``. It needs only torch, numpy and
Pillow, and torchvision to download Omniglot or CIFAR-100 and to open CIFAR-100; :mod:`orchestrator` runs sweeps with it.
"""
