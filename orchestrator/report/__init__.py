"""The records as people want them: table, verdicts, figures, exports. Nothing here computes a trial or talks to a tracker."""
