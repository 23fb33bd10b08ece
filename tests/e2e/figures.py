"""Figures that a test measured: printed, and kept where COFFER_FIGURES says."""

import json
import os
import time


def record(what: str, **figures):
    """Prints the figures, and adds them as one JSON line to the file."""
    shown = ", ".join(f"{name} {value}" for name, value in figures.items())
    print(f"\n{what}: {shown}")
    path = os.environ.get("COFFER_FIGURES")
    if path:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with open(path, "a") as lines:
            lines.write(json.dumps({"at": at, "what": what, **figures}) + "\n")
