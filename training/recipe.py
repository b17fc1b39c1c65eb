"""The inputs and options that a run was begun with, which resuming it must repeat."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from twopass.training.options import TrainingOptions
from twopass.training.pairs import TrainingError

_FILE = "recipe.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the result of a run.

    Attributes:
        pairs: Sizes in bytes of the files of pairs, by their absolute paths.
        shares: Share of the pairs to take, by pattern of the file's name.
        encoder: Encoder of the first pass.
        base: The model that training starts from.
        options: Options of the training.
    """

    pairs: Mapping[str, int]
    shares: Mapping[str, float]
    encoder: str
    base: str
    options: TrainingOptions

    @classmethod
    def of(
        cls,
        files: Iterable[Path],
        shares: Mapping[str, float],
        encoder: str,
        base: str,
        options: TrainingOptions,
    ) -> "Recipe":
        """Makes the recipe of a run; takes the sizes of the files.

        Raises:
            TrainingError: A file is missing.
        """
        try:
            sizes = {str(file.resolve()): file.stat().st_size for file in files}
        except OSError as error:
            raise TrainingError(f"{error.filename}: {error.strerror}") from error
        return cls(sizes, shares, encoder, base, options)


def hold_to(recipe: Recipe, folder: Path) -> None:
    """Writes the recipe into the folder of a run, or checks it against the one written there.

    Raises:
        TrainingError: The run was begun with another recipe; names what differs.
    """
    file = folder / _FILE
    wanted = _flat(recipe)
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        return
    try:
        begun = dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f"{file}: damaged ({error!r}); take another --out") from error
    for name in wanted | begun:
        if wanted.get(name) != begun.get(name):
            raise TrainingError(
                f"{name}: {wanted.get(name)} given, but the run in {folder} was begun with "
                f"{begun.get(name)}; give the same to go on, or take another --out"
            )


def _flat(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON reads it back, its options among the other fields."""
    fields = asdict(recipe)
    fields |= fields.pop("options")
    return dict(json.loads(json.dumps(fields)))
