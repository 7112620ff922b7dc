"""Turns records into tables, verdicts, figures and exports. No module here runs a trial or uses a tracker."""
