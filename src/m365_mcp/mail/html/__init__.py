"""The HTML sanitizer: which parts of a body's HTML a mail keeps."""
