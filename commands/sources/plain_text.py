"""Plain text: a file is one document."""

from collections.abc import Iterator

from twopass.commands.sources.opening import opened
from twopass.commands.sources.reading import Format
from twopass.commands.sources.records import LeftOut, Record
from twopass.commands.sources.source_file import SourceFile


def read_text(file: SourceFile) -> Iterator[Record | LeftOut]:
    """Reads a file as one document, titled by Markdown's first heading, else by the file's name."""
    with opened(file) as source:
        content = source.stream.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield file.left_out("files that are not UTF-8", f"not UTF-8 ({error})")
        return
    if not text.strip():
        return
    title = file.path.stem
    if file.format is Format.MARKDOWN:
        first = text.lstrip().partition("\n")[0]
        title = first.lstrip("#").strip() if first.startswith("# ") else title
    fields = {"id": file.name, "title": title, "text": text, "path": file.name}
    yield Record(where=file.where, fields=fields, num_bytes=file.num_bytes)
