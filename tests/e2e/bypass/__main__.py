"""`python -m bypass [ENOUGH]`: the whole search against COFFER_BIN, in a store of its own.

It ends after ENOUGH offending rows (300), and with 1 if there were any.
"""

import sys
import tempfile
from pathlib import Path

from running import Store

from . import tricks
from .scene import Scene
from .search import ENOUGH, Search, Tricks, controls


def main(enough: int) -> int:
    with tempfile.TemporaryDirectory(prefix="coffer-bypass-") as folder:
        store = Store(Path(folder) / "store", flags=["--domain", tricks.DOMAIN]).start()
        try:
            scene = Scene(store)
            for search in (Search(scene), Tricks(scene)):
                search.report.enough = enough
                report = search.run()
                print(report, flush=True)
                if report.offending:
                    return 1
            report = controls(scene)
            print(report)
            store.assert_alive()
            return 1 if report.offending else 0
        finally:
            store.kill()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ENOUGH))
