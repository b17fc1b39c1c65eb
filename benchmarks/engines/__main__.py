"""Starts the command; imports nothing where an engine's process merely passes by."""

if __name__ == "__main__":
    import typer

    from twopass.benchmarks.engines.command import engines

    typer.run(engines)
