"""Every write of a small study fails once for want of space: `fill_disk.py FOLDER`.

The same command is given again until it ends well; it must then have come to what an undisturbed
one comes to. Prints how many commands that took and how many writes failed.
"""

import errno
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import warm
from interleave import leftovers, logs, outcome, words, write_studies

OWN = re.compile(r"\.tmp-\d+-[0-9a-f]+")  # of the process and the moment, in names beside
MOST = 1000


class FullDisk:
    """Refuses the first sync, rename, link and new folder of each name under a root."""

    def __init__(self, root: Path, log: Path) -> None:
        self.root, self.log = root.resolve(), log

    def install(self) -> None:
        os.fsync = self._before(os.fsync, self._of_handle)
        for name in ("rename", "replace", "link"):
            setattr(os, name, self._before(getattr(os, name), lambda _, target: target))
        os.mkdir = self._before(os.mkdir, lambda path: path)

    def _of_handle(self, handle: int) -> str:
        return os.readlink(f"/proc/self/fd/{handle}")

    def _before(self, call: Callable[..., Any], place: Callable[..., Any]) -> Callable[..., Any]:
        def refused_once(*arguments: Any, **options: Any) -> Any:
            count = 2 if call.__name__ in ("rename", "replace", "link") else 1
            path = Path(os.path.abspath(place(*arguments[:count])))
            if path.is_relative_to(self.root):
                what = f"{call.__name__} {OWN.sub('.tmp', str(path.relative_to(self.root)))}"
                known = self.log.read_text().splitlines() if self.log.exists() else []
                if what not in known:
                    with self.log.open("a") as log:
                        log.write(f"{what}\n")
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            return call(*arguments, **options)

        return refused_once


def fill(folder: Path) -> None:
    calm, full = folder / "calm", folder / "full"
    for place in (calm, full):
        place.mkdir()
        write_studies(place, trials=2)
    command = words("run", "first")
    assert warm.end(warm.start(calm, command)) == 0, logs(calm)
    session = calm / "out" / "studies" / "first" / "bench"
    disk = FullDisk(full / "out", full / "failed")
    codes = []
    while len(codes) < MOST:
        pid = warm.start(full, command, disk.install, session)
        codes.append(warm.end(pid))
        text = (full / f"{pid}.log").read_text()
        assert "Traceback" not in text, text
        assert codes[-1] in (0, 1, 2), text
        if codes[-1] == 0:
            break
        assert "no space left on device" in text.lower(), text
        assert text.strip().splitlines()[-1].startswith("fusefront: "), text
    assert codes[-1] == 0
    assert warm.end(warm.start(full, command, session=session)) == 0, logs(full)
    assert outcome(full) == outcome(calm)
    assert leftovers(full) == []
    failed = (full / "failed").read_text().splitlines()
    print(f"{len(codes)} commands, {len(failed)} writes failed once", flush=True)


if __name__ == "__main__":
    fill(Path(sys.argv[1]))
