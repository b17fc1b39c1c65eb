"""Every tab, in every form that a visitor meets it in: axe finds nothing, nothing is cut off."""

import pytest
from playwright.sync_api import Page

from .browsing import accessibility_findings, overflow
from .conftest import Visiting

TABS = ("Search", "Collections", "Rerank")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1_600], ids="{}px".format)
@pytest.mark.parametrize("tab", TABS)
def test_a_tab_is_accessible_and_fits_its_window(
    visit: Visiting, tab: str, width: int, scheme: str
) -> None:
    with visit(width=width, scheme=scheme) as page:
        open_tab(page, tab)
        assert accessibility_findings(page) == []
        assert overflow(page) == 0


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    page.get_by_role("tabpanel", name=name).wait_for()
    page.wait_for_load_state("networkidle")
