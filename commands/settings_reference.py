"""`docs/settings.md`: every setting of a server, as its own description says, on one page.

`python -m twopass.commands.settings_reference > docs/settings.md` makes the page anew.
"""

import sys

from twopass.commands.serve_flags import SUBJECTS, default_text, range_text
from twopass.server.config import ServerConfig

_BEGINNING = """\
# Settings

Every setting of `twopass serve`, made from their own descriptions by
`python -m twopass.commands.settings_reference`. A setting comes from a flag, else from a variable
of the environment, else from the file that `--config` names, else from its default:

| written as | for example |
|---|---|
| flag | `twopass serve --http-address 127.0.0.1:8080` |
| variable | `TWOPASS_HTTP_ADDRESS=127.0.0.1:8080` |
| line of the file | `http_address = "127.0.0.1:8080"` |

A flag that is on or off has a twin, `--no-open-health`; what may be given several times is a list
in the file, and JSON in a variable: `TWOPASS_MORE_MODELS='["./mine"]'`. What is wrong with a
setting is told, with the place where it stands, before anything is loaded.
`twopass serve --show-config` prints the settings that would be used as such a file:

```toml
address = "127.0.0.1:50051"
http_address = "127.0.0.1:8080"
data = "/var/lib/twopass"
more_models = ["twopass-minilm-l6"]
max_calls = 500
log_format = "json"
```
"""


def settings_reference() -> str:
    """The page, in Markdown."""
    return _BEGINNING + "".join(_section(subject) for subject in SUBJECTS)


def _section(subject: str) -> str:
    rows = "".join(_row(name) for name in SUBJECTS[subject])
    return f"\n## {subject}\n\n| setting | default | what it does |\n|---|---|---|\n{rows}"


def _row(name: str) -> str:
    field = ServerConfig.model_fields[name]
    if field.annotation is bool:
        default = "true" if field.default else "false"
    else:
        default = default_text(field.default, name)
    bounds = range_text(field)
    kind = f" ({bounds})" if bounds else _choices(field.annotation)
    text = f"{field.description}{kind}"
    return f"| `{name}` | {_cell(default)} | {_cell(text)} |\n"


def _choices(annotation: object) -> str:
    values = getattr(annotation, "__members__", None)
    return f" ({', '.join(str(each.value) for each in values.values())})" if values else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(settings_reference())
