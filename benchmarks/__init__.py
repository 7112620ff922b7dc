"""What a training step costs, beside the peers and beside an earlier commit. Nothing in the packages imports this."""
