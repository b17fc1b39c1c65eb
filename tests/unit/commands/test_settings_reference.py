"""docs/settings.md is what the settings say of themselves today."""

from pathlib import Path

from twopass.commands.settings_reference import settings_reference
from twopass.server.config import ServerConfig

PAGE = Path(__file__).parents[3] / "docs/settings.md"


def test_the_page_of_the_settings_is_current():
    assert PAGE.read_text("utf-8") == settings_reference(), (
        "make it anew: python -m twopass.commands.settings_reference > docs/settings.md"
    )


def test_every_setting_has_its_row():
    rows = [line for line in settings_reference().splitlines() if line.startswith("| `")]
    named = {row.split("`")[1] for row in rows}
    assert named >= set(ServerConfig.model_fields)
