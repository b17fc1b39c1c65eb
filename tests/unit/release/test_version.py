"""One version: every distribution, the chart and the examples have that of the root."""

import tomllib

import pytest
from packaging.requirements import Requirement

from deploy.release.version import ROOT, VersionError, current, find, write


def a_repository(root, integration='version = "0.1.0"'):
    for name, text in {
        "pyproject.toml": 'version = "0.1.0"\ndependencies = ["twopass-client==0.1.0", "numpy>=2"]',
        "client/pyproject.toml": 'version = "0.1.0"',
        "integrations/one/pyproject.toml": f'{integration}\nx = ["twopass-client>=0.1.0,<1"]',
        "client/typescript/package.json": '{\n  "version": "0.1.0"\n}',
        "deploy/chart/Chart.yaml": 'version: 0.1.0\nappVersion: "0.1.0"\n',
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_every_distribution_has_the_version_of_the_root():
    version = current()
    differ = [f"{w.file}:{w.line} {w.version}" for w in find() if w.version != version]
    assert differ == [], f"write all with: make version VERSION={version}"


def test_every_distribution_is_looked_at():
    found = {w.file for w in find()}
    distributions = {
        file.relative_to(ROOT)
        for folder in ("client", "models", "integrations")
        for file in (ROOT / folder).glob("**/pyproject.toml")
        if not {".venv", "node_modules"} & set(file.parts)
    }
    assert distributions <= found


def test_every_distribution_takes_the_others_of_its_version():
    projects = {
        project["name"]: project
        for file in {w.file for w in find() if w.file.name == "pyproject.toml"}
        for project in [tomllib.loads((ROOT / file).read_text())["project"]]
    }
    refused = [
        f"{name}: {requirement}"
        for name, project in projects.items()
        for requirement in map(Requirement, project.get("dependencies", ()))
        if requirement.name in projects and not requirement.specifier.contains(current())
    ]
    assert refused == [], "widen the bound: all are released with one version"


def test_a_new_version_is_written_everywhere_it_stands(tmp_path):
    root = a_repository(tmp_path)
    changed = write("1.20.3", root)
    assert {w.version for w in find(root)} == {"1.20.3"}
    assert len(changed) == 5
    text = (root / "pyproject.toml").read_text()
    assert text == 'version = "1.20.3"\ndependencies = ["twopass-client==1.20.3", "numpy>=2"]'
    assert (
        root / "deploy/chart/Chart.yaml"
    ).read_text() == 'version: 1.20.3\nappVersion: "1.20.3"\n'


def test_the_oldest_client_that_an_integration_takes_stays_as_it_is(tmp_path):
    root = a_repository(tmp_path)
    write("0.2.0", root)
    assert "twopass-client>=0.1.0,<1" in (root / "integrations/one/pyproject.toml").read_text()


def test_a_distribution_without_a_version_is_named(tmp_path):
    root = a_repository(tmp_path, integration='dynamic = ["version"]')
    with pytest.raises(VersionError, match=r"integrations/one/pyproject\.toml: no version found"):
        write("0.2.0", root)
    assert {w.version for w in (*_without_integrations(root),)} == {"0.1.0"}


def _without_integrations(root):
    (root / "integrations/one/pyproject.toml").unlink()
    return find(root)


@pytest.mark.parametrize("version", ["1.2", "1.2.3rc1", "v1.2.3", ""])
def test_a_version_that_npm_or_pypi_reads_otherwise_is_refused(version, tmp_path):
    with pytest.raises(VersionError, match=r"MAJOR\.MINOR\.PATCH is needed"):
        write(version, a_repository(tmp_path))
