"""What a run was begun with, so that it goes on with nothing else."""

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
    """All that decides what a run comes to.

    Attributes:
        pairs: Sizes in bytes of the files of pairs, by their absolute paths.
        shares: Share of the pairs to take, by pattern of the file's name.
        encoder: Of the first pass.
        base: What training starts from.
        options: How.
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
        """Looks at the files.

        Raises:
            TrainingError: One is not there.
        """
        try:
            sizes = {str(file.resolve()): file.stat().st_size for file in files}
        except OSError as error:
            raise TrainingError(f"{error.filename}: {error.strerror}") from error
        return cls(sizes, shares, encoder, base, options)


def hold_to(recipe: Recipe, folder: Path) -> None:
    """Notes the recipe in the folder of a run, or makes sure that it is the one noted there.

    Raises:
        TrainingError: The run was begun with another; names what differs.
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
    """As JSON gives it back, the options beside the rest."""
    fields = asdict(recipe)
    fields |= fields.pop("options")
    return dict(json.loads(json.dumps(fields)))
