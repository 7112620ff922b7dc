"""What the JSON documents of a report say, key by key."""

from __future__ import annotations

from collections.abc import Mapping

SCHEMA_VERSION = 2
"""Of the JSON documents that reports consist of. It is raised when a key goes or changes its meaning, not when one is added."""

DOCUMENT_KEYS: Mapping[str, str] = {
    "schema_version": f"the form of this document, {SCHEMA_VERSION}",
    "sweep": "the sweep's name",
    "title": "its title",
    "cells": "a list with an object for each row of the table, with the keys below",
}
"""The keys of ``table.json``."""

CELL_KEYS: Mapping[str, str] = {
    "cell": "the cell's fingerprint: what is trained, how it is scored, under which preset",
    "evaluation": "the fingerprint of how it is scored",
    "trials": "the fingerprints of its seeds' trials, in the seeds' order",
    "algorithm": "as in sweep files",
    "variant": "the form of the algorithm, and what sets the cell apart from those beside it",
    "preset": "that its settings come from",
    "dataset": "as in sweep files",
    "way": "classes of a test episode",
    "shot": "support images per class",
    "maml_order": "order of the meta-gradient, of MAML and of ANIL",
    "inductive": "of algorithms that adapt: whether BatchNorm normalises a query by the support's statistics",
    "published": "a list with an object for each registry that has a number for the cell, in the sweep's order, with the keys below",
    "compared_with": "the registry that the difference and the verdict are against: the first of them",
    "reproduced": "accuracy, percent, mean over the seeds done",
    "ci95_episodes": "half the 95% interval for test episodes sampled again from the same classes, percentage points",
    "ci95_classes": "half the 95% interval had other test classes been chosen as well, percentage points",
    "std_seeds": "standard deviation over training seeds, percentage points",
    "seeds_done": "seeds that the numbers come from",
    "seeds_wanted": "seeds of the sweep",
    "difference": "reproduced minus the first published number, percentage points",
    "ci95_difference": "half the 95% interval of the difference, by which the verdict was reached, percentage points",
    "verdict": "with its reasons",
    "verdict_label": "its first words alone",
    "verdict_reasons": "a list of the rest",
    "training_ended": "how the trainings of its seeds ended, and with the weights of which step",
    "code_versions": "how many versions of the code computed these seeds; any changed file makes another version",
    "assumed": "a list of what the verdict takes for granted, for want of a number",
    "differs": "a list of settings unlike those of the first published number",
    "choices": "a list of what the preset chose where its source is silent",
    "doubt": "about the first published number",
    "short": "whether the sweep trains for less than the published run on purpose",
    "overrides": "a list of what the command line changed of the sweep file",
}
"""The keys of a cell in ``table.json``, in their order; what is missing is null."""

PUBLISHED_KEYS: Mapping[str, str] = {
    "registry": "the file of sweeps/published that has the number",
    "label": "what heads its column",
    "kind": "paper, authors_code (the authors' code run again) or independent",
    "source": "where it was printed",
    "accuracy": "percent",
    "ci95": "half its 95% interval over test episodes, percentage points",
    "std_seeds": "standard deviation over its trainings, percentage points",
    "seeds": "how many trainings that is of",
    "episodes": "of its test",
    "decimals": "digits after the point that were printed",
    "choice": "which of the registry's numbers it is, where it is not the first of them for such a cell",
    "differs": "a list of settings of ours that are unlike its own",
    "doubt": "about it",
}
"""The keys of a published number in ``table.json``."""

NUMBERS_OF_REGISTRY: Mapping[str, str] = {"": "accuracy", "_ci95": "ci95", "_std_seeds": "std_seeds", "_seeds": "seeds"}
"""The endings of a registry's columns in ``table.csv``, after ``published_<registry>``, and the keys of what they hold."""

TABULAR: Mapping[str, str] = {"cell": "cell_id", "evaluation": "evaluation_id", "trials": "trial_ids"}
"""The columns of ``table.csv`` that are named otherwise than the keys, because they hold identifiers."""

PROVENANCE_KEYS: Mapping[str, str] = {
    "schema_version": f"the form of this document, {SCHEMA_VERSION}",
    "sweep": "the sweep's name",
    "edition": "of the recipes, which all its fingerprints are of; the first edition wrote none",
    "plan": "the fingerprint of its trials and evaluations together",
    "seeds": "a list of the training seeds",
    "overrides": "a list of what the command line changed of the sweep file",
    "trials": "an object with the trials that are trained, scored or not, by fingerprint, with the keys below",
}
"""The keys of ``provenance.json``."""

PROVENANCE_OF_TRIAL: Mapping[str, str] = {
    "name": "the trial in words",
    "data_digest": "SHA-256 of the images",
    "weights_digest": "SHA-256 of the selected weights",
    "git_commit": "the commit of the code",
    "git_dirty": "whether the working tree differed from it",
    "git_problem": "why git could not tell",
    "code_digest": "digest of the code that computed",
    "lock_digest": "SHA-256 of the pinned requirements",
    "versions": "an object with the versions of Python and of libraries",
    "device": "what computed",
    "threads": "CPU threads of an operation",
    "train_seconds": "wall clock, all attempts; its share where seeds train together",
    "finished_at": "when the training ended, ISO 8601, UTC",
}
"""The keys of a trial in ``provenance.json``."""

COMPARISON_KEYS: Mapping[str, str] = {
    "first_table": "the table of the row that is subtracted",
    "first_row": "its number there, from 1",
    "first_cell": "c- and its cell's fingerprint",
    "first_name": "the row in words",
    "first_seeds": "a list of its finished seeds",
    "second_table": "the table of the other row",
    "second_row": "its number there, from 1",
    "second_cell": "c- and its cell's fingerprint",
    "second_name": "the row in words",
    "second_seeds": "a list of its finished seeds",
    "paired_by": "episodes: their digest; evaluation: evaluation, images and class split, of exports without a digest; missing: not paired",
    "seeds": "a list of the seeds by which the two are paired; empty: each row's own count",
    "first_accuracy": "percent, over those seeds",
    "second_accuracy": "percent, over those seeds",
    "difference": "second less first, percentage points",
    "ci95": "half its 95% interval over episodes and, from two seeds on, over seeds, percentage points",
    "ci95_episodes": "half the 95% interval over episodes alone, percentage points",
    "ci95_unpaired": "the same had the two answered different episodes, percentage points",
    "ci95_classes": "half the 95% interval over episodes had other test classes been chosen as well, percentage points",
    "std_seeds": "standard deviation of the difference over the paired seeds, percentage points",
    "correlation": "of the two rows' accuracies over the episodes",
    "p": "two-sided, of no difference",
    "p_holm": "the same by Holm for all comparisons of the document together",
    "spread_known": "whether both rows have seeds enough to tell their spread; if not, interval and p are of these trainings alone",
    "unlike": "a list of the settings in which the two differ, with both values",
}
"""The keys of a comparison in ``comparison.json``, and the columns of ``comparison.csv``, in their order; what is missing is null."""
