"""The plain loop: each algorithm as a torch module that takes one episode after another, the reference of every execution path."""
