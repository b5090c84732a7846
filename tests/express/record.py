"""Record what the real express-session does in the scenarios that were written by hand.

    python tests/express/record.py

writes ``tests/express/traces/<topic>.json``, which the tests compare sessionlab with where there is
no Node. Do so after a change of `scenarios.py`, `runs.py` or the package, and read the diff: a
line that changed is something that Express does in another way. It needs Node 20 or newer, and npm.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
TRACES = HERE / "traces"


def path_of(topic):
    return TRACES / f"{topic.replace(' ', '-')}.json"


def read_all():
    """Return the recorded traces: the name of a scenario to its trace."""
    traces = {}
    for path in sorted(TRACES.glob("*.json")):
        traces.update(json.loads(path.read_text("utf-8")))
    return traces


def write_all():
    from runs import run
    from scenarios import TOPICS
    from sides import Express

    TRACES.mkdir(exist_ok=True)
    for path in TRACES.glob("*.json"):
        path.unlink()
    with Express() as express:
        for topic, scenarios in TOPICS.items():
            traces = {scenario.name: run(scenario, express) for scenario in scenarios}
            text = json.dumps(traces, indent=1, ensure_ascii=False)
            path_of(topic).write_text(text + "\n", "utf-8")
            print(f"{path_of(topic).name}: {len(traces)} scenarios")


if __name__ == "__main__":
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    write_all()
