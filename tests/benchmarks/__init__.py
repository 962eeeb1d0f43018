"""The benchmark itself: that it counts right, and that it runs."""
