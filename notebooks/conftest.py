"""What pytest shall not take for a test when it runs the notebooks with nbval."""

from __future__ import annotations

collect_ignore_glob = [
    "build.py",
    "builder/*",
    "src/*",
    "work/*",
    # A stub does not run; its solution is below `solutions`.
    "exercises/ex*.ipynb",
    # The same code as in the first language: `build.py --check` compares them.
    "zh-TW/*",
]
