"""Documents whose order differs between the passes, and some that are meant to do harm."""

from collections.abc import Sequence
from typing import Any

_TEXTS = {
    "canberra": "Canberra is the capital city of Australia.",
    "sydney": "Sydney is the largest city of Australia, and many take it for the capital.",
    "strptime": "datetime.strptime parses a date from a string, according to a format.",
    "sky": "The sky is blue because the air scatters short wavelengths most.",
    "bees": "Honey bees dance to tell their hive where the flowers are.",
    "everest": "Mount Everest is the highest mountain above the level of the sea.",
    "bread": "Bread rises because yeast makes carbon dioxide out of sugar.",
    "tides": "The tides follow the moon, which pulls at the oceans.",
    "penicillin": "Alexander Fleming discovered penicillin in 1928.",
    "glass": "Glass is made of sand that was melted at 1,700 degrees.",
    "copyfile": "shutil.copyfile copies the contents of a file to another file.",
    "volcano": "Volcanoes erupt where molten rock finds its way to the surface.",
    "chess": "In chess the bishop moves along the diagonals.",
}

FACTS: Sequence[dict[str, Any]] = [
    {"id": key, "text": text, "title": key.capitalize(), "metadata": {"place": place}}
    for place, (key, text) in enumerate(_TEXTS.items())
]
QUESTION = "What is the capital of Australia?"

# What a page must show as it stands, and never run, obey or load.
HARMFUL: Sequence[dict[str, Any]] = [
    {
        "id": "<img src=x onerror=alert(1)>",
        "title": "<script>alert('title')</script>",
        "text": "harm: <script>alert(1)</script><img src=//example.com/x onerror=alert(2)> end",
        "metadata": {"<b>field</b>": "<iframe src=javascript:alert(3)></iframe>"},
    },
    {
        "id": "entities",
        "title": "&lt;b&gt; &amp; &#x3c;script&#x3e;",
        "text": "harm: &lt;script&gt;alert(4)&lt;/script&gt; {{7*7}} ${7*7} javascript:alert(5)",
    },
    {
        "id": "controls",
        "title": "bell \x07 and escape \x1b[31mred",
        "text": "harm: \x1b]0;title\x07 \u202egnp.exe\u2066 \x9b31m \u2028 end of controls",
    },
]
