"""Every distribution carries the licence that it is under, wherever it is unpacked."""

import pytest

from deploy.release.version import ROOT, find

FOLDERS = sorted(
    {
        (ROOT / written.file).parent
        for written in find()
        if written.file.name == "pyproject.toml"  # the build of the npm package copies it
        and written.file.parts[0] in ("client", "models", "integrations")
    }
)


def test_distributions_are_looked_at():
    names = {folder.name for folder in FOLDERS}
    assert {"client", "models", "langchain-twopass"} <= names


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_distribution_has_the_licence_of_the_whole(folder):
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize(
    "folder", [f for f in FOLDERS if "models" in f.parts], ids=lambda f: f.name
)
def test_a_distribution_of_models_says_whose_they_are(folder):
    assert (folder / "NOTICE").read_text() == (ROOT / "NOTICE").read_text()
