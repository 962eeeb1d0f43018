"""Files that come by link: their bytes and their records."""
