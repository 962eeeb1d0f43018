"""Tests of the documents: their links, the site's pages, and every command in them."""
