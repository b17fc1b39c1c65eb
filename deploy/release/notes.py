"""Release notes: the section of CHANGELOG.md on one version, as a forge shows it.

A forge shows a line's end as a break, and a link of the changelog leads nowhere from its page:
lines are joined, and links lead to the files of that version.
"""

import argparse
import re
import sys

from deploy.release.version import ROOT, current

REPOSITORY = "https://github.com/twopass/twopass"
# What a forge takes as the text of a release.
MAX_CHARACTERS = 125_000

_HEADING = re.compile(r"^## \[?([^\]\s]+)", re.M)
# Lines of Markdown that stand alone: headings, items, rows of tables, fences, and empty ones.
_ITEM = re.compile(r"\s*([-*+]|\d+\.)\s")
_ALONE = re.compile(r"\s*(#|\||```|$)")
_RELATIVE_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)]+)\)")


class NotesError(Exception):
    """The changelog says nothing of a version, or more than a release may carry."""


def notes(changelog: str, version: str) -> str:
    """Takes the notes of one version out of a changelog.

    Args:
        changelog: Its text, a heading of second level for each version.
        version: As in the heading; "Unreleased" for what is not released yet.

    Raises:
        NotesError: It has no such section, an empty one, or one too long to be shown.
    """
    pieces = _HEADING.split(changelog)
    sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    if version not in sections:
        raise NotesError(
            f"CHANGELOG.md: no section {version!r}, only {', '.join(sections)}; "
            f"rename 'Unreleased' to '{version} - YYYY-MM-DD'"
        )
    # What stands behind the version in its heading is a date.
    text = sections[version].partition("\n")[2].strip()
    if not text:
        raise NotesError(f"CHANGELOG.md: the section {version!r} is empty")
    tree = f"{REPOSITORY}/blob/{'main' if version == 'Unreleased' else f'v{version}'}"
    text = _RELATIVE_LINK.sub(rf"]({tree}/\1)", _unwrapped(text)) + "\n"
    if len(text) > MAX_CHARACTERS:
        raise NotesError(
            f"CHANGELOG.md: the section {version!r} has {len(text):,} characters, a release "
            f"carries {MAX_CHARACTERS:,}; shorten it"
        )
    return text


def _unwrapped(text: str) -> str:
    lines: list[str] = []
    is_code = continues = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            is_code = not is_code
        stands_alone = is_code or _ALONE.match(line) is not None
        if continues and not stands_alone and not _ITEM.match(line):
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
        continues = not stands_alone
    return "\n".join(lines)


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", nargs="?", help="the tree's unless told; or Unreleased")
    version = parser.parse_args().version or current()
    try:
        sys.stdout.write(notes((ROOT / "CHANGELOG.md").read_text("utf-8"), version))
    except NotesError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
