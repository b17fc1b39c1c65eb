"""The URL of a database: what is ours, what is the driver's, and what may be told."""

import pytest

from twopass.index.postgres.address import Address


def test_the_password_is_in_what_the_driver_gets_and_in_nothing_that_is_told():
    address = Address.parse(
        "postgresql://me:se%40cret@db:5433/notes?sslmode=require&password=no&sslpassword=no"
    )
    assert "se%40cret" in address.dsn
    assert "&password=no&sslpassword=no" in address.dsn
    assert address.place == "postgresql://me@db:5433/notes?sslmode=require"


def test_own_parameters_are_kept_from_the_driver():
    address = Address.parse(
        "postgresql://me@/notes?host=/run/postgresql&schema=search&connections=4&pgbouncer=true"
    )
    assert address.dsn == "postgresql://me@/notes?host=%2Frun%2Fpostgresql"
    assert (address.schema, address.max_connections, address.is_pooled) == ("search", 4, True)


@pytest.mark.parametrize(
    "parameter", ["schema=A", "schema=pg_x", "schema=", "connections=1", "pgbouncer=2"]
)
def test_a_parameter_that_can_not_be_is_named_without_the_password(parameter):
    with pytest.raises(ValueError, match=parameter.partition("=")[0]) as raised:
        Address.parse(f"postgresql://me:secret@db/notes?{parameter}")
    assert "secret" not in str(raised.value)
