"""Feedback on answers: which documents of which query were clicked or judged, and what was shown.

Searches tell what they showed and get an id for it (`shown.py`); clicks and judgements come in by
that id or by the caller's own key of the query, and are kept apart from all texts, bounded in rows
and age: in a file of the data folder (`database.py`, asked by `in_folder.py`), or by the store of
the collections. `records.py` joins both for the surface, and tells whoever compares orders that a
query has feedback; what comparisons sum up is kept by a `SumsStore`. Below the surfaces; knows
searches by `search/observing.py` alone, and stores by `index/feedback.py`.
"""
