"""Files that come by upload link: announced, uploaded past the model and never whole in memory, then sent with a draft.

Read `for_person` first (what the two tools do), then `receiver` (what an upload does). `links` and `batches` are the
records of both; `transfer` carries the bytes.
"""
