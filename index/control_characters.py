"""Control characters, which no document's id can have."""

import re

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""One of Unicode's category Cc: C0, DEL and C1."""
