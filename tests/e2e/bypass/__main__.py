"""`python -m bypass [OPERATION…]`: the search against COFFER_BIN, in a store of its own; all of it,
or the rows of operations such as `s3:GetObject`, and of `tricks`. It ends with 1 if there are
offending rows."""

import sys
import tempfile
from pathlib import Path

from running import Store

from . import tricks
from .scene import Scene
from .search import Search, Tricks, controls, controls_of_people


def main(operations: list) -> int:
    with tempfile.TemporaryDirectory(prefix="coffer-bypass-") as folder:
        store = Store(Path(folder) / "store", flags=["--domain", tricks.DOMAIN]).start()
        try:
            scene = Scene(store)
            if operations:
                matrix = [name for name in operations if name != "tricks"]
                runs = [lambda: Search(scene).attack_all(matrix)] if matrix else []
                runs += [Tricks(scene).run] if "tricks" in operations else []
            else:
                runs = [Search(scene).run, Tricks(scene).run]
                runs += [lambda: controls(scene), lambda: controls_of_people(scene)]
            offending = 0
            for run in runs:
                report = run()
                print(report, flush=True)
                offending += len(report.offending)
            store.assert_alive()
            return 1 if offending else 0
        finally:
            store.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
