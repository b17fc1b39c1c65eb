"""What makes a release is the same from one day to the next."""

import re

from deploy.release.version import ROOT


def test_every_tool_of_a_release_is_pinned():
    lines = (ROOT / "deploy" / "release" / "requirements.txt").read_text("utf-8").splitlines()
    tools = [line for line in lines if line and not line.startswith("#")]
    assert tools
    assert not [tool for tool in tools if not re.fullmatch(r"[\w-]+==[\d.]+", tool)]
