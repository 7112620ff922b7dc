"""The process that a command runs in: environment variables, CPUs, terminal, signals."""
