"""The model card: the training's data, settings and results."""

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

from twopass.training.calibration import Fit
from twopass.training.judging import Verdict
from twopass.training.mining import Group
from twopass.training.options import TrainingOptions


@dataclass(frozen=True, slots=True)
class Story:
    """What a card tells.

    Attributes:
        name: The model's name.
        base: The model that training started from.
        rival: What the model had to beat.
        command: The command line that made it.
        options: Options of the training.
        groups: Groups that it was trained on.
        minutes: Minutes spent on training steps.
        best_step: The step whose weights it has.
        blend: Default blend, chosen on development queries.
        calibration: Calibration, chosen on development queries.
        verdict: Its quality on held-out queries.
    """

    name: str
    base: str
    rival: str
    command: str
    options: TrainingOptions
    groups: Sequence[Group]
    minutes: float
    best_step: int
    blend: float
    calibration: Fit
    verdict: Verdict


def card(story: Story) -> str:
    """Writes the card in Markdown."""
    options, verdict, fit = story.options, story.verdict, story.calibration
    sources = "\n".join(
        f"| {source} | {count:,} |"
        for source, count in Counter(g.source for g in story.groups).items()
    )
    settings = "\n".join(f"| {name} | {value} |" for name, value in asdict(options).items())
    return f"""# {story.name}

A cross-encoder with one logit, trained from {story.base} by `twopass train`.

```sh
{story.command}
```

Trained for {story.minutes:.0f} minutes on {_device()}, PyTorch {torch.__version__}. The weights are
the average around step {story.best_step:,}, the best on development queries.

## Quality

On {verdict.num_queries:,} queries that were held out, mined candidates, nDCG@10:

| first pass | {story.rival}, blended | this model, blended | p |
|---:|---:|---:|---:|
| {verdict.first_pass:.4f} | {verdict.rival:.4f} | {verdict.trained:.4f} | {verdict.p_value:.4f} |

The default blend gives the first pass a weight of {story.blend:g}. Scores are
`sigmoid({fit.a:.4f} * logit {fit.b:+.4f})`: the expected calibration error was
{fit.error_before:.4f} before, and is {fit.error_after:.4f}.

## Data

Questions with a passage each and mined negatives. Their licences are those of their sources.

| source | questions |
|---|---:|
{sources}

## Settings

| setting | value |
|---|---|
{settings}
"""


def _device() -> str:
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"{torch.get_num_threads()} cores of a CPU ({platform.machine()})"
