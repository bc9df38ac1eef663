"""Training networks and exporting them. Needs the train extra."""
