"""Bodies as people and programs write them, and the check in Chromium that their readers see what was written.

`index.toml` lists the bodies in `bodies/`.
`checking.check` composes each of them and compares what a reader sees before and after: the text, its contrast, the
columns and the roles for screen readers.
`python -m tests.corpus.pictures` makes the pictures of docs/composing.md.
"""
