"""`twopass collections …`: lists, shows, makes and deletes collections; counts what they hold."""

import dataclasses
import math
from typing import Annotated, Any, cast

import typer

from twopass.client import Collection, Schema
from twopass.client import FieldType as Kind
from twopass.commands import filters as filters_as_typed
from twopass.commands.collection_defaults import defaults
from twopass.commands.collection_tables import (
    plain,
    print_collection,
    print_collections,
    print_facets,
)
from twopass.commands.completion import collection_names
from twopass.commands.options import (
    DEFAULT_TARGET,
    AsJson,
    CollectionName,
    Target,
    connected,
    print_json,
)
from twopass.commands.terminal.confirmation import Yes, confirm, ensure_unchanged
from twopass.commands.terminal.failures import USAGE, exit_with
from twopass.commands.terminal.sentences import counted, say
from twopass.commands.window_options import (
    OVERLAP_TOKENS,
    WHOLE_DOCUMENTS,
    WINDOW_TOKENS,
    chunking,
)

app = typer.Typer(
    help="List, show, make, rename and delete collections; count their documents, set how they are "
    "searched.",
    no_args_is_help=True,
)

app.command("defaults")(defaults)

OwnName = Annotated[
    str,
    typer.Argument(
        help="The collection's own name, not an alias.", autocompletion=collection_names
    ),
]


@app.command("list")
def list_collections(target: Target = DEFAULT_TARGET, as_json: AsJson = False) -> None:
    """List the collections that the server holds and the key may read, by name."""
    with connected(target) as client:
        found = client.list_collections()
    if as_json:
        print_json([plain(collection) for collection in found])
    else:
        print_collections(found)


@app.command("show")
def show(name: CollectionName, target: Target = DEFAULT_TARGET, as_json: AsJson = False) -> None:
    """Show a collection: what it holds, how it is searched, and what is wrong with it.

    Metadata fields are those of its first 100 documents.

        twopass collections show docs
        twopass collections show docs --json | jq .num_documents
    """
    with connected(target) as client:
        collection = client.get_collection(name)
        if as_json:
            print_json(plain(collection))
        else:
            print_collection(collection, client.documents(collection.name))


@app.command("create")
def create(
    name: Annotated[
        str,
        typer.Argument(
            help="1 to 64 of a-z, 0-9, '-' and '_', beginning with a letter or a digit."
        ),
    ],
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            metavar="FIELD=TYPE",
            help="A metadata field that filters use often, and the type of its values: text, "
            "number, bool or time. It gets an index. Repeat it for several.",
        ),
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="Its encoder, as `twopass models` lists them; unset: the default.")
    ] = "",
    dimension: Annotated[
        int | None,
        typer.Option(
            help="Components of the vectors that documents bring; the collection has no encoder "
            "then.",
            min=1,
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="How nearness is measured: cosine or inner_product; unset: cosine."),
    ] = None,
    index_kind: Annotated[
        str, typer.Option(help="A faiss factory string, such as HNSW32; unset: Flat.")
    ] = "",
    window_tokens: Annotated[
        int | None,
        typer.Option(help=WINDOW_TOKENS),
    ] = None,
    overlap_tokens: Annotated[
        int | None,
        typer.Option(help=OVERLAP_TOKENS),
    ] = None,
    whole_documents: Annotated[
        bool,
        typer.Option("--whole-documents", help=WHOLE_DOCUMENTS),
    ] = False,
    language: Annotated[
        str,
        typer.Option(
            help="Language of the texts, an ISO 639-1 code such as de: endings of words are "
            "removed for search by words; none: words are searched as they stand; unset: the "
            "server's default."
        ),
    ] = "",
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Make an empty collection; how it is searched is fixed from then on.

    `twopass index` makes one too, where it is missing. Here fields can be declared, so that
    filters by them are fast.

        twopass collections create docs
        twopass collections create news --field year=number
        twopass collections create zeitung --language de
        twopass collections create images --dimension 512
    """
    if dimension is not None and encoder:
        exit_with(
            "--dimension: is for a collection without an encoder; leave it out, since that of "
            f"{encoder} is known",
            USAGE,
        )
    schema = Schema(
        dimension=dimension or 0,
        client_vectors=dimension is not None,
        metric=cast("Any", metric),
        encoder=encoder,
        index_kind=index_kind,
        indexed_fields=dict(map(_indexed_field, fields or [])),
        chunking=chunking(window_tokens, overlap_tokens),
        whole_documents=whole_documents,
        language=language,
    )
    with connected(target) as client:
        collection = client.create_collection(name, schema)
    if as_json:
        print_json(plain(collection))
        return
    say(f"{name}: made; fill it with: twopass index {name} FILES...")


@app.command("rename")
def rename(
    name: OwnName,
    new_name: Annotated[str, typer.Argument(help="Its name from now on.")],
    keep_alias: Annotated[
        bool,
        typer.Option(
            "--keep-alias",
            help="Make the old name an alias in the same step, so that callers who use it never "
            "miss the collection.",
        ),
    ] = False,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Give a collection another name; documents, snapshots and aliases stay its own.

    A name that clients use becomes one that can be switched to another collection:

        twopass collections rename docs docs-2026 --keep-alias
        twopass index docs-2027 docs.jsonl
        twopass alias docs docs-2027
    """
    with connected(target) as client:
        collection = client.rename_collection(
            name, new_name, keep_alias=keep_alias, timeout=math.inf
        )
    if as_json:
        print_json(plain(collection))
        return
    stays = f"; {name} is an alias of it" if keep_alias else ""
    say(f"{name}: is {collection.name} from now on{stays}")


@app.command("delete")
def delete(
    name: OwnName, yes: Yes = False, target: Target = DEFAULT_TARGET, as_json: AsJson = False
) -> None:
    """Delete a collection and everything in it; its snapshots stay.

    You are asked first; a script gives `--yes`. A collection that has aliases is not deleted.

        twopass collections delete docs
        twopass collections delete docs --yes  in a script
    """
    with connected(target) as client:
        collection = client.get_collection(name)
        _refuse_aliases(name, collection)
        count = counted(collection.num_documents, "document")
        if not yes:
            confirm(f"delete collection {name} with {count} for good", is_certain=False)
            found = client.get_collection(name)
            ensure_unchanged((name, collection.sequence), (found.name, found.sequence))
        client.delete_collection(name, timeout=math.inf)
    if as_json:
        print_json({"collection": name, "num_documents": collection.num_documents})
        return
    say(f"{name}: deleted, with {count}")


@app.command("count")
def count(
    name: CollectionName,
    filters: filters_as_typed.Filters = None,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Count a collection's documents, all or those that pass filters; print the number alone.

    The number is exact, of one moment.

        twopass collections count docs
        twopass collections count docs -f "year>=1990"
    """
    with connected(target) as client:
        number = client.count(name, filter=filters_as_typed.parsed(filters or []), timeout=math.inf)
    if as_json:
        print_json({"collection": name, "num_documents": number})
    else:
        say(str(number))


@app.command("facets")
def facets(
    name: CollectionName,
    fields: Annotated[list[str], typer.Argument(metavar="FIELD", help="Metadata fields, 1 to 16.")],
    filters: filters_as_typed.Filters = None,
    limit: Annotated[
        int, typer.Option(help="Most values of each field to show.", min=0, max=10_000)
    ] = 10,
    target: Target = DEFAULT_TARGET,
    as_json: AsJson = False,
) -> None:
    """Show which values metadata fields have, and how many documents have each, exactly.

    Of lists each element counts, and names reach into objects.

        twopass collections facets docs year lang
        twopass collections facets docs tags.name -f lang=en
    """
    with connected(target) as client:
        found = client.facets(
            name,
            fields,
            filter=filters_as_typed.parsed(filters or []),
            limit=limit,
            timeout=math.inf,
        )
    if as_json:
        print_json({field: _plain_facet(facet) for field, facet in found.items()})
    else:
        print_facets(found)


def _plain_facet(facet: Any) -> dict[str, Any]:
    content = dataclasses.asdict(facet)
    if facet.times is not None:
        content["times"] = [moment.isoformat() for moment in facet.times]
    return content


def _refuse_aliases(name: str, collection: Collection) -> None:
    """Says what to do first where the name is an alias, or the collection has some."""
    if name != collection.name:
        exit_with(
            f"{name} is an alias of {collection.name}; remove it with `twopass alias --remove "
            f"{name}`, or delete {collection.name} by its own name"
        )
    if collection.aliases:
        first = collection.aliases[0]
        exit_with(
            f"{name} can't be deleted while it has aliases ({', '.join(collection.aliases)}); "
            f"switch each with `twopass alias {first} OTHER`, or remove it with `twopass alias "
            f"--remove {first}`"
        )


def _indexed_field(given: str) -> tuple[str, Any]:
    """Reads FIELD=TYPE; the field may hold "=" itself, a type does not."""
    name, _, kind = given.rpartition("=")
    kinds = [each.value for each in Kind if each is not Kind.UNKNOWN]
    if not name or kind not in kinds:
        exit_with(
            f"--field {given}: FIELD=TYPE is needed, the type one of {', '.join(kinds)}, as in "
            "year=number",
            USAGE,
        )
    return name, kind
