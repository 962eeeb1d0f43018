"""The tests of the sample run: `tests/mutants/test_mutants.py` starts them."""
