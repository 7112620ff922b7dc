"""What is wanted: sweep files, presets, cells, and the plan of trials that they share."""
