"""The HTML sanitizer: it removes everything from a body that is not on the lists of allowed HTML and CSS."""
