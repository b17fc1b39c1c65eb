"""The servers that stores are tested with start, end and start again as those of an operator do."""

import subprocess

import pytest

from .servers import PostgresServer, ServerNotInstalledError


def asked(server, query, database="postgres", **environment):
    """What PostgreSQL's own client prints."""
    answer = subprocess.run(
        [
            *(server.programs / "psql", "--no-psqlrc", "--tuples-only", "--no-align", "-w"),
            *("-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-c", query, database),
        ],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return answer.stdout.strip()


@pytest.mark.parametrize("end", [PostgresServer.stop, PostgresServer.kill])
def test_postgres_has_what_it_acknowledged_however_it_ended(end):
    try:
        server = PostgresServer()
    except ServerNotInstalledError as missing:
        pytest.skip(str(missing))
    with server:
        asked(server, "CREATE TABLE kept AS SELECT 1 AS number")
        before = server.port, server.pid
        end(server)
        server.start()
        assert asked(server, "SELECT number FROM kept") == "1"
        assert (server.port, server.pid) != before
        assert server.port == before[0]
        available = "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"
        assert asked(server, available) == "1"
    assert not server.folder.exists()


def test_postgres_asks_for_its_password():
    try:
        server = PostgresServer(password="it's s3cret")
    except ServerNotInstalledError as missing:
        pytest.skip(str(missing))
    with server:
        with pytest.raises(subprocess.CalledProcessError) as refused:
            asked(server, "SELECT 1")
        assert "no password supplied" in refused.value.stderr
        assert asked(server, "SELECT 1", PGPASSWORD=server.password) == "1"
