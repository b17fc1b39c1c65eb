"""The page of the project on PyPI: README, without the files that lie beside it in the tree."""

import re
import tomllib

from deploy.release.version import ROOT, current

_TARGET = re.compile(r'\]\(([^)]+)\)|(?:src|srcset)="([^"]+)"')
_PREFIXES = (
    f"https://github.com/twopass/twopass/blob/v{current()}/",
    f"https://raw.githubusercontent.com/twopass/twopass/v{current()}/",
)


def project_page() -> str:
    text = (ROOT / "README.md").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    page = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    for each in page["substitutions"]:
        text = re.sub(each["pattern"], each["replacement"], text)
    return text.replace("$HFPR_VERSION", current())


def test_every_link_and_picture_of_the_page_on_pypi_leads_to_a_file_of_the_version_s_tag():
    targets = [link or picture for link, picture in _TARGET.findall(project_page())]
    ours = [target for target in targets if target.startswith(_PREFIXES)]
    assert len(ours) > 30
    for target in targets:
        assert re.match(r"https?://|#", target), target
    for target in ours:
        path = target.partition(f"v{current()}/")[2].partition("#")[0]
        assert (ROOT / path).exists(), target
