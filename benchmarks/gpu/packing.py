"""Cuts folders into pieces of at most a given size, and writes the script that joins them again.

python -m twopass.benchmarks.gpu.packing WHEELS MODELS --out PIECES --most 60MB

For a machine that is reached only by transfers of a bounded size: wheels, models, anything. Each
piece is one file; bytes of the first folder are in the first pieces, so what is needed first goes
first. `join.sh` wants a POSIX shell and sha256sum, and knows nothing of how pieces travelled: it
lies beside them, joins all files whose pieces are there, and says which pieces are still missing.
"""

import hashlib
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated

import typer

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}
_SIZE = re.compile(r"(\d+)\s*([KMG]I?)?B?", re.IGNORECASE)
_CHUNK_BYTES = 1 << 20
JOIN = "join.sh"


class PackingError(Exception):
    """What is to be packed can't be; says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a file that lie in one piece.

    Attributes:
        piece: Number of the piece, from 0.
        begin: Where they begin in it.
        size: How many they are.
    """

    piece: int
    begin: int
    size: int


@dataclass(frozen=True, slots=True)
class Packed:
    """A file that is packed.

    Attributes:
        source: Where it is.
        name: Where it will be, below the folder that it is joined into.
        sha256: Of its bytes.
        parts: Where they are, in order; none of an empty file.
        is_executable: Whether its owner may execute it.
    """

    source: Path
    name: str
    sha256: str
    parts: tuple[Part, ...]
    is_executable: bool


def pack(sources: Sequence[Path], out: Path, most: int) -> list[Packed]:
    """Writes pieces and the script that joins them.

    Args:
        sources: Folders, each of which will be a folder of its name again, or single files.
        out: Folder of the pieces, which is made; it has to be empty.
        most: Bytes of a piece at most.

    Raises:
        PackingError: The folder is not empty, a name can't be written down, or two files would
            have the same one.
    """
    if most < 1:
        raise PackingError(f"most: {most} bytes given, at least 1")
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise PackingError(f"{out}: not empty")
    files = list(_files(sources))
    total = sum(source.stat().st_size for _, source in files)
    width = len(str(max(1, -(-total // most))))
    with _Pieces(out, most, width) as pieces:
        packed = [_packed(name, source, pieces) for name, source in files]
    (out / JOIN).write_text(_script(packed, pieces.names, pieces.sums), encoding="utf-8")
    (out / JOIN).chmod(0o755)
    return packed


def _files(sources: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Every file with its name there: of each source in turn, by name. Links are followed."""
    seen: set[str] = set()
    for source in sources:
        if source.is_file():
            found = [(source.name, source)]
        elif source.is_dir():
            root = source.resolve()
            below = (Path(f, n) for f, _, ns in os.walk(root, followlinks=True) for n in ns)
            found = sorted((f"{root.name}/{p.relative_to(root).as_posix()}", p) for p in below)
        else:
            raise PackingError(f"{source}: no file and no folder")
        for name, file in found:
            if not name.isprintable():
                raise PackingError(f"{file}: its name can't be written into a script")
            if name in seen:
                raise PackingError(f"{name}: two of the files given would have this name")
            seen.add(name)
            yield name, file


class _Pieces:
    """Files of at most so many bytes, written one after the other."""

    def __init__(self, folder: Path, most: int, width: int) -> None:
        self.names: list[str] = []
        self.sums: list[str] = []
        self._folder = folder
        self._most = most
        self._width = width
        self._file: IO[bytes] | None = None
        self._size = 0
        self._hash = hashlib.sha256()

    def __enter__(self) -> "_Pieces":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def add(self, data: bytes) -> Iterator[Part]:
        """Writes bytes; yields where they are."""
        while data:
            if self._file is None or self._size == self._most:
                self._end()
                self.names.append(f"piece-{len(self.names) + 1:0{self._width}d}")
                self._file = (self._folder / self.names[-1]).open("wb")
                self._size, self._hash = 0, hashlib.sha256()
            taken, data = data[: self._most - self._size], data[self._most - self._size :]
            self._file.write(taken)
            self._hash.update(taken)
            yield Part(len(self.names) - 1, self._size, len(taken))
            self._size += len(taken)

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            self.sums.append(self._hash.hexdigest())
        self._file = None


def _packed(name: str, source: Path, pieces: _Pieces) -> Packed:
    digest = hashlib.sha256()
    parts: list[Part] = []
    with source.open("rb") as file:
        while data := file.read(_CHUNK_BYTES):
            digest.update(data)
            for part in pieces.add(data):
                if parts and parts[-1].piece == part.piece:
                    before = parts.pop()
                    part = Part(part.piece, before.begin, before.size + part.size)
                parts.append(part)
    return Packed(source, name, digest.hexdigest(), tuple(parts), os.access(source, os.X_OK))


_HEAD = """\
#!/bin/sh
# Joins the pieces beside this script into the folder INTO: {num_files} files, {num_bytes} bytes.
#   ./join.sh INTO
# Wants sha256sum, tail and head. Ends with 3 where pieces are missing: what has all of its own is
# joined then, and the same line goes on once more are there.
set -eu
into=${{1:?where to: ./join.sh INTO}}
mkdir -p "$into"
into=$(cd "$into" && pwd)
cd "$(dirname "$0")"
missing=
joined=0

# is SUM FILE: whether a file has these bytes.
is() {{
  [ "$(sha256sum < "$2" | cut -c 1-64)" = "$1" ]
}}

# good PIECE SUM: whether a piece is there and whole; each is read once.
good() {{
  case " $known " in *" $1 "*) return 0 ;; esac
  case " $missing " in *" $1 "*) return 1 ;; esac
  if [ ! -f "$1" ]; then
    missing="$missing $1"
    return 1
  fi
  if ! is "$2" "$1"; then
    echo "$1: damaged, send it again" >&2
    missing="$missing $1"
    return 1
  fi
  known="$known $1"
}}
known=

# part PIECE BEGIN SIZE: writes bytes of a piece.
part() {{
  tail -c +$(($2 + 1)) "$1" | head -c "$3"
}}

# file NAME SUM MODE, its parts on the standard input's lines: PIECE SUM BEGIN SIZE.
file() {{
  target=$into/$1
  if [ -f "$target" ] && is "$2" "$target"; then
    joined=$((joined + 1))
    cat > /dev/null
    return 0
  fi
  mkdir -p "$(dirname "$target")"
  : > "$target.partial"
  whole=1
  while read -r piece sum begin size; do
    if good "$piece" "$sum"; then
      [ $whole = 0 ] || part "$piece" "$begin" "$size" >> "$target.partial"
    else
      whole=0
    fi
  done
  if [ $whole = 0 ]; then
    rm "$target.partial"
    return 0
  fi
  if ! is "$2" "$target.partial"; then
    echo "$1: joined, and not what was packed" >&2
    exit 1
  fi
  chmod "$3" "$target.partial"
  mv "$target.partial" "$target"
  joined=$((joined + 1))
}}

"""

_TAIL = """\
echo "$joined of {num_files} files in $into"
if [ -n "$missing" ]; then
  echo "missing:$missing" >&2
  exit 3
fi
"""


def _script(packed: Sequence[Packed], names: Sequence[str], sums: Sequence[str]) -> str:
    counts = {
        "num_files": len(packed),
        "num_bytes": sum(part.size for each in packed for part in each.parts),
    }
    lines = [_HEAD.format(**counts)]
    for each in packed:
        mode = "755" if each.is_executable else "644"
        lines.append(f"file {shlex.quote(each.name)} {each.sha256} {mode} << 'END'\n")
        lines += [
            f"{names[part.piece]} {sums[part.piece]} {part.begin} {part.size}\n"
            for part in each.parts
        ]
        lines.append("END\n")
    return "".join((*lines, "\n", _TAIL.format(**counts)))


def bytes_of(size: str) -> int:
    """The bytes that a size in words means, such as 60MB, 64MiB or 1000.

    Raises:
        ValueError: It is no size.
    """
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        raise ValueError(f"{size!r} is no size; 60MB, 64MiB and 1000 are")
    return int(found[1]) * _UNITS[(found[2] or "").upper()]


def main(
    sources: Annotated[
        list[Path], typer.Argument(help="Folders and files, what goes first first.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the pieces; made, or empty.")],
    most: Annotated[str, typer.Option(help="Bytes of a piece at most, such as 60MB or 64MiB.")],
) -> None:
    """Cut folders into pieces, each a file, with a script that joins them on the far side."""
    try:
        packed = pack(sources, out, bytes_of(most))
    except (PackingError, ValueError) as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from error
    held: dict[int, list[str]] = {}
    for each in packed:
        for part in each.parts:
            held.setdefault(part.piece, []).append(each.name)
    for piece, file in enumerate(sorted(out.glob("piece-*"))):
        inside = held[piece]
        more = f" and {len(inside) - 2} more" if len(inside) > 2 else ""
        typer.echo(f"{file.name}  {file.stat().st_size:>13,}  {', '.join(inside[:2])}{more}")
    typer.echo(f"{JOIN}  there: sh {JOIN} INTO, with any of the pieces beside it")


if __name__ == "__main__":
    typer.run(main)
