"""Data folders of released versions, and what servers have to answer over them for good.

`written/twopass-VERSION.tar.xz` is a data folder as that version left it, and the file of that name
with `.json` what it answered. They are made by `make upgrade-data`, never changed and never
deleted: tests/integration/test_upgrades.py opens each with the newest code.
"""

from pathlib import Path

ARCHIVES = Path(__file__).with_name("written")
