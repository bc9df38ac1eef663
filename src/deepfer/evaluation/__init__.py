"""Measuring a model file on a data set. Needs no more than the base install."""
