"""Comparisons with what others use, run by hand (`make bench`) and written into `docs/reliability.md`."""
