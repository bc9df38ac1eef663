"""Running the tables of the study and of its comparisons, one command per data set."""
