"""The changelog's section on a version becomes the notes of its release."""

import pytest

from deploy.release.notes import MAX_CHARACTERS, NotesError, notes
from deploy.release.version import ROOT

CHANGELOG = """# Changelog

All notable changes.

## Unreleased

### Added

- Not yet.

## 0.2.0 - 2026-12-01

### Added

- Something long that goes on
  in a second line. [docs/http.md](docs/http.md#rerank) says more,
  and [a page](https://example.org) too.
- Another:

| a | b |
|---|---|
| 1 | 2 |

```sh
make wheels
make clean
```

## 0.1.0 - 2026-11-01

- The first.
"""


def test_they_are_the_section_of_that_version_alone():
    assert notes(CHANGELOG, "0.1.0") == "- The first.\n"
    assert "Not yet" not in notes(CHANGELOG, "0.2.0")
    assert "The first" not in notes(CHANGELOG, "0.2.0")


def test_a_wrapped_line_is_one_line_on_a_page_that_shows_line_ends():
    said = notes(CHANGELOG, "0.2.0")
    assert "- Something long that goes on in a second line." in said
    assert "\n- Another:\n\n| a | b |\n|---|---|\n| 1 | 2 |\n" in said


def test_commands_stay_a_line_each():
    assert "```sh\nmake wheels\nmake clean\n```" in notes(CHANGELOG, "0.2.0")


def test_links_lead_to_the_files_of_that_version():
    said = notes(CHANGELOG, "0.2.0")
    assert "](https://github.com/twopass/twopass/blob/v0.2.0/docs/http.md#rerank)" in said
    assert "](https://example.org)" in said


@pytest.mark.parametrize(
    ("changelog", "problem"),
    [
        (CHANGELOG, "no section '0.3.0', only Unreleased, 0.2.0, 0.1.0"),
        ("## 0.3.0 - 2027-01-01\n\n## 0.2.0\n- x\n", "the section '0.3.0' is empty"),
        (f"## 0.3.0\n{'x' * MAX_CHARACTERS}\n", "125,001 characters, a release carries 125,000"),
    ],
    ids=["no section", "an empty one", "one too long"],
)
def test_a_release_without_fitting_notes_stops(changelog, problem):
    with pytest.raises(NotesError, match=problem):
        notes(changelog, "0.3.0")


def test_what_is_not_released_yet_fits_into_a_release():
    assert notes((ROOT / "CHANGELOG.md").read_text("utf-8"), "Unreleased")
