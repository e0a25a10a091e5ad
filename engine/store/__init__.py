"""The store: the only SQL. Rows stay in here, frozen models come out.

`database.py` gives transactions, `jobs.py`, `schedules.py`, `documents.py` and `marks.py` the verbs, `migrations/` the
schema's history.
"""
