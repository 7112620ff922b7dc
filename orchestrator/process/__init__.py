"""What a command inherits from the process that starts it: variables, CPUs, the terminal, signals."""
