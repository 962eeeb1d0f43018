"""Upload links: a person uploads files outside the model's context, and this server sends them with a draft.

Read `pending` first (the work of the two tools), then `receiver` (the work of an upload). `links` has the records of
both. `transfer` passes the bytes to Graph in ranges, and never has a whole large file in memory.
"""
