"""The records of a runs folder, their locks, and the state of a trial."""
