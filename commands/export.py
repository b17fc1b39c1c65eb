"""`twopass export`: a collection's documents into a file that `twopass index` reads."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from twopass.client import Client, Condition, Document, Fields
from twopass.commands import filters as filters_as_typed
from twopass.commands.options import (
    DEFAULT_TARGET,
    AsJson,
    CollectionName,
    Target,
    connected,
    print_json,
)
from twopass.commands.terminal.consoles import is_terminal
from twopass.commands.terminal.failures import INTERRUPTED, exit_with
from twopass.commands.terminal.sentences import say, say_beside, say_exactly
from twopass.commands.transfer.exporting import (
    FORMATS,
    TABLE_METADATA,
    FormatError,
    Write,
    check_format,
    is_table,
    jsonl,
    opened,
)
from twopass.commands.transfer.flat_records import CollisionError, check_metadata_field
from twopass.commands.transfer.progress import Meter
from twopass.commands.transfer.unfinished import unfinished

_PAGE = 500
_STDOUT = Path("-")


def export(
    collection: CollectionName,
    output: Annotated[
        Path,
        typer.Argument(
            help=f"The file: {FORMATS}; it must not exist. `-` is standard output, in JSONL."
        ),
    ],
    vectors: Annotated[bool, typer.Option("--vectors", help="Export embeddings too.")] = False,
    metadata_field: Annotated[
        str,
        typer.Option(
            help="Keep all metadata in one field of this name, an object; unset: each is a field "
            "of its own. CSV and Parquet always have one column of JSON for them, called metadata "
            "unless it is named here."
        ),
    ] = "",
    filters: Annotated[
        list[str] | None, typer.Option("--filter", "-f", help=filters_as_typed.HELP)
    ] = None,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Write a collection's documents into a file.

    The file appears when it is complete. Indexed again it makes the same documents: every value of
    the metadata comes back as it was, integers of 64 bits and the order of keys included, and every
    vector bit for bit. The last lines say the command that reads the file. For the state at one
    moment, export a restored snapshot.

      twopass export docs docs.jsonl.gz
      twopass export docs docs.parquet --vectors
      twopass export docs - --filter 'year>=1990' | jq .title

    A line of JSONL:

      {"id": "a1", "text": "Warm the pot.", "year": 1946}
    """
    wanted = filters_as_typed.parsed(filters or [])
    is_stdout = output == _STDOUT
    try:
        check_metadata_field(metadata_field)
        if is_stdout and as_json:
            exit_with("--json: the documents go to standard output, so nothing else can")
        if not is_stdout:
            check_format(output)
            if output.exists():
                exit_with(f"{output}: there is such a file already; name another, or delete it")
            if is_table(output):
                metadata_field = metadata_field or TABLE_METADATA
        with connected(target) as client:
            source = _Source(client, collection, wanted, vectors=vectors)
            # Where documents are seen, they show themselves how far it is; in a pipe the command
            # at its end may print to the terminal on which a bar would be drawn.
            is_seen = is_stdout and is_terminal(sys.stdout)
            meter = None if is_seen else Meter("exporting", is_drawn=not is_stdout)
            with _writer(output, metadata_field, vectors=vectors) as write:
                num_written = source.write_all(write, meter)
            found = client.get_collection(collection)
    except (CollisionError, FormatError) as error:
        exit_with(error)
    except KeyboardInterrupt:
        say_beside(f"{output}: not written, since the export was interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except OSError as error:
        exit_with(f"{output}: can't be written ({error.strerror or error})")
    has_no_vectors = found.schema.client_vectors and not vectors
    if as_json:
        content = {
            "collection": collection,
            "output": str(output),
            "num_documents": num_written,
            "metadata_field": metadata_field,
        }
        print_json(content)
    elif not is_stdout:
        say(
            f"{output}: {num_written:,} document{'s' * (num_written != 1)} of {collection}; read by"
        )
        command = ["twopass", "index", "COLLECTION", str(output)]
        command += ["--metadata-field", metadata_field] if metadata_field else []
        command += ["--vector-field", "vector"] if vectors else []
        say_exactly(f"  {shlex.join(command)}")
    if has_no_vectors:
        say_beside(
            f"{collection} has no encoder, so its documents need their vectors to be indexed "
            "again: --vectors exports them too"
        )
    if found.read_only_reason:
        exit_with(f"not all documents could be read: {found.read_only_reason}")


class _Source:
    """The documents to export."""

    def __init__(
        self, client: Client, collection: str, wanted: Condition | None, *, vectors: bool
    ) -> None:
        self._total = (
            client.get_collection(collection).num_documents
            if wanted is None
            else client.count(collection, filter=wanted)
        )
        self._documents: Iterator[Document] = client.documents(
            collection,
            page_size=_PAGE,
            filter=wanted,
            fields=Fields(text=True, metadata=True, vector=vectors),
        )

    def write_all(self, write: Write, meter: Meter | None) -> int:
        """Writes all documents, and tells how far it is; returns how many they were."""
        num_written = 0
        with meter.running() if meter else nullcontext():
            while block := list(islice(self._documents, _PAGE)):
                write(block)
                num_written += len(block)
                if meter:
                    meter.show(num_written, self._total)
        return num_written


@contextmanager
def _writer(output: Path, metadata_field: str, *, vectors: bool) -> Iterator[Write]:
    """Opens the file, which appears under its name when the block ends well."""
    if output == _STDOUT:
        try:
            is_shown = is_terminal(sys.stdout)
            yield jsonl(sys.stdout.buffer, metadata_field, is_terminal=is_shown)
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # whoever reads has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        return
    with (
        unfinished(output) as beside,
        opened(output, beside, metadata_field, vectors=vectors) as write,
    ):
        yield write
