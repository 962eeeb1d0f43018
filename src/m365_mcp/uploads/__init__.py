"""Files that come by upload link: announced, uploaded past the model and never whole in memory, then sent with a draft.

Read `desk` first (what the two tools do), then `reception` (what an upload does). `tickets` and `parcels` are the
records of both; `transfer` carries the bytes.
"""
