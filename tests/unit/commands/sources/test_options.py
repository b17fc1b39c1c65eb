"""The flags that say how files are to be read refuse what can't be read by."""

import pytest
import typer
from typer.testing import CliRunner

from twopass.commands.sources.options import DelimiterOption, EncodingOption

app = typer.Typer()


@app.command()
def read(encoding: EncodingOption = None, delimiter: DelimiterOption = None) -> None:
    print(repr((encoding, delimiter)))


def told(*arguments):
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize("name", ["cp1252", "UTF-16", "latin-1", "Shift_JIS"])
def test_encodings_have_their_usual_names(name):
    assert told("--encoding", name) == (0, f"({name!r}, None)")


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13", ""])
def test_what_is_no_encoding_is_refused(name):
    status, output = told("--encoding", name)
    assert status == 2
    assert "is no encoding that is known; such are utf-8, utf-16, cp1252" in output


@pytest.mark.parametrize(
    ("given", "delimiter"), [(";", ";"), ("|", "|"), ("\t", "\t"), (r"\t", "\t"), ("tab", "\t")]
)
def test_a_delimiter_is_one_character(given, delimiter):
    assert told("--delimiter", given) == (0, repr((None, delimiter)))


@pytest.mark.parametrize("given", ["", ";;", '"', "\n", "comma"])
def test_what_can_not_be_between_fields_is_refused(given):
    status, output = told("--delimiter", given)
    assert status == 2
    assert "one character is needed that is no quote, such as ';' or '\\t'" in output
