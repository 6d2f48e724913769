from __future__ import annotations

import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
# The builder is a script with its modules beside it, not an installed package.
sys.path.insert(0, str(NOTEBOOKS))

# For the kernels of the tests, not for pytest.
collect_ignore_glob = ["guard/*"]
