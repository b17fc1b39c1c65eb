"""The image's Dockerfile and what it is built from; test_image.py looks at the image itself."""

import re
import subprocess
from pathlib import Path

IMAGE = Path(__file__).parents[2] / "deploy" / "image"
DOCKERFILE = (IMAGE / "Dockerfile").read_text()


def test_hadolint_finds_nothing_wrong_with_it():
    found = subprocess.run(
        ["hadolint", IMAGE / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (0, "")


def test_every_folder_that_it_copies_is_let_into_the_build():
    ignored = (IMAGE / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.*)", DOCKERFILE, re.MULTILINE):
        sources = [word for word in line.split()[:-1] if not word.startswith("--")]
        for source in sources:
            assert any(source == name or source.startswith(f"{name}/") for name in let_in), source


def test_packages_come_by_version_and_digest():
    for file in IMAGE.glob("requirements-*.txt"):
        packages = re.findall(r"^[a-z][^\s;]*", file.read_text(), re.MULTILINE)
        assert all("==" in package for package in packages), file
        assert file.read_text().count("--hash=sha256:") >= len(packages)
