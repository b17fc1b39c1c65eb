"""README's chart shows what the reports say."""

import pytest

from twopass.benchmarks.chart import PICTURES, pictures


@pytest.mark.parametrize("file", ["figures-light.svg", "figures-dark.svg"])
def test_the_pictures_are_those_of_the_reports(file):
    assert (PICTURES / file).read_text("utf-8") == pictures()[file], (
        "draw them anew: python -m twopass.benchmarks.chart"
    )
