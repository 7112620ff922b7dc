"""The command line: the one place that knows click, prints, and turns errors into exit codes."""
