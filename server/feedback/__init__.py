"""Feedback on answers: which documents of which query were clicked or judged, and what was shown.

Searches tell what they showed and get an id for it (`shown.py`); clicks and judgements come in by
that id or by the caller's own key of the query, and are kept on the disk apart from all texts
(`database.py`), bounded in rows and age. `recording.py` joins both for the surface, and tells
whoever compares orders that a query has feedback. Below the surfaces; knows searches by
`search/observing.py` alone.
"""
