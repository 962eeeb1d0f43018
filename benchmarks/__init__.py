"""Comparisons with what others use, run by hand (`make bench`): whole servers here, the exchange in `exchange`."""
