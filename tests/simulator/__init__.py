"""Tests of the simulator itself: the fake must be right before anything is judged by it."""
