"""The audit trail: who sent what to which domains, who signed in, what was refused; see docs/audit.md.

`records` renders the events of other packages in the form of OCSF, `chain` links and signs them, and `writer` writes
them from its own thread to one of `outputs` or to `http_output`. `tips` exchanges the tips of the chains between
replicas, and `verification` finds out afterwards whether anything was changed. `trail` puts them together.
"""
