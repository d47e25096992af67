"""Gives a bundle's record names and texts that try to become something else: hostile.py RESULT.JSON"""

import json
import sys
from pathlib import Path

# Each would set the title or `ran` of the window if a browser took it for more than text.
TEXTS = [
    "\"><script>ran=1;document.title='ran'</script>",
    "<img src=x onerror=\"ran=1;document.title='ran'\">",
    "</title></style></pre></svg><svg onload=\"ran=1;document.title='ran'\">",
    "javascript:ran=1",
    "\x1b]0;ran\x07\u202e\u2066ran",
    "]]><script>ran=1</script><!--",
]


def hostile(value, names):
    """The same with texts for names, everywhere."""
    match value:
        case dict():
            return {names.get(key, key): hostile(held, names) for key, held in value.items()}
        case list():
            return [hostile(held, names) for held in value]
        case str():
            return names.get(value, value)
        case _:
            return value


path = Path(sys.argv[1])
run = json.loads(path.read_text())
arms = [arm["name"] for arm in run["arms"]]
run = hostile(run, dict(zip([*arms, run["scenario"]["name"]], TEXTS)))
for part in ("scenario", "host", "build"):
    for number, (key, value) in enumerate(run[part].items()):
        if isinstance(value, str) and key != "name":
            run[part][key] = TEXTS[number % len(TEXTS)]
path.write_text(json.dumps(run))
