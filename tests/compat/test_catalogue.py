"""The catalogue is whole, and its table fits a terminal."""

from datetime import date
from pathlib import Path

from .catalogue import CLIENTS
from .judging import Result
from .report import COLUMNS, head, markdown, row
from .trying import Trial


def trial_of(client, ok=True):
    results = tuple(Result(column, ok, f"POST /{column}") for column in COLUMNS)
    return Trial(client, "1234.567.89", results)


def test_names_are_unique_and_scripts_exist():
    assert len({client.name for client in CLIENTS}) == len(CLIENTS)
    for client in CLIENTS:
        folder = "clients" if client.packages else "requests"
        assert (Path(__file__).parent / folder / client.script).exists()


def test_clients_that_share_an_environment_need_the_same_of_it():
    homes = {}
    for client in CLIENTS:
        if client.packages:
            needs = (client.runtime, client.packages)
            assert homes.setdefault(client.home, needs) == needs


def test_every_client_is_a_package_or_a_source_of_a_revision():
    for client in CLIENTS:
        assert bool(client.packages) != bool(client.source)
        if client.source:
            path, _, revision = client.source.rpartition("@")
            assert "/" in path
            assert len(revision) == 9


def test_every_dialect_is_tried_for_every_change():
    dialects = {client.dialect for client in CLIENTS}
    # Mixedbread's is one path more, whose clients are alike.
    assert dialects - {client.dialect for client in CLIENTS if client.in_ci} == {"Mixedbread"}


def test_the_table_fits_80_columns():
    assert len(head()) <= 80
    for client in CLIENTS:
        line = row(trial_of(client))
        assert len(line) <= 80
        assert line.startswith(f"{client.name} ") or len(client.name) >= 27


def test_what_is_wrong_is_told_below_its_line():
    first, *wrong = row(trial_of(CLIENTS[0], ok=False)).split("\n")
    assert "yes" not in first
    assert len(wrong) == len(COLUMNS)


def test_the_page_has_every_client_in_every_table():
    page = markdown([trial_of(client) for client in reversed(CLIENTS)], date(2026, 11, 28))
    assert f"{len(CLIENTS)} of {len(CLIENTS)} clients" in page
    assert "28 November 2026" in page
    for client in CLIENTS:
        assert page.count(f"\n| {client.name} |") == 3
    assert page.index(f"| {CLIENTS[0].name} |") < page.index(f"| {CLIENTS[1].name} |")
