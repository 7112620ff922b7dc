"""What a trial is: settings, the recipe and the evaluation made of them, and their fingerprints. Nothing here imports torch."""
