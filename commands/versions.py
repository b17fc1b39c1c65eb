"""`twopass --version`: of everything that a report of a fault should name."""

import platform
from importlib.metadata import PackageNotFoundError, version

import typer

_DISTRIBUTIONS = (
    "twopass",
    "twopass-client",
    "twopass-models",
    "twopass-models-l6",
    "grpcio",
    "protobuf",
)


def print_versions(is_asked_for: bool) -> None:
    """Prints the versions and ends the command, where they are asked for."""
    if not is_asked_for:
        return
    for name in _DISTRIBUTIONS:
        try:
            typer.echo(f"{name} {version(name)}")
        except PackageNotFoundError:
            typer.echo(f"{name} is not installed")
    typer.echo(f"core {_core()}")
    typer.echo(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    raise typer.Exit


def _core() -> str:
    """The instruction sets that this processor has of those that the core is made for."""
    try:
        from twopass._core import selected_isa, supported_isas

        return f"{selected_isa()} (this processor has {', '.join(supported_isas())})"
    except Exception as error:  # whatever is wrong with it is what is asked for
        return f"does not load: {error}"
