"""`python -m bypass [OPERATION…]`: the search against COFFER_BIN, in a store of its own; all of it,
or the rows of operations such as `s3:GetObject`. It ends with 1 if there are offending rows."""

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
                reports = (Search(scene).attack_all(operations),)
            else:
                parts = (Search(scene).run, Tricks(scene).run)
                reports = (
                    run()
                    for run in parts
                    + tuple(lambda run=run: run(scene) for run in (controls, controls_of_people))
                )
            offending = 0
            for report in reports:
                print(report, flush=True)
                offending += len(report.offending)
            store.assert_alive()
            return 1 if offending else 0
        finally:
            store.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
