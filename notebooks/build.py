"""Build the notebooks of the percent scripts in ``notebooks/src``, or check them.

python notebooks/build.py                    run everything, write the notebooks
python notebooks/build.py quickstart ex2     only these
python notebooks/build.py --text             only texts changed: run nothing, keep the outputs
python notebooks/build.py --same             the Chinese still says what the changed English says
python notebooks/build.py --fresh            measure anew: keep no number of the last build
python notebooks/build.py --check            is what is committed what the sources build?

Text cells stand twice in a script, ``# %% [markdown]`` and below it ``# %% [markdown]
lang="zh-TW"``; code stands once. Words that the Chinese cells use are in ``zh-TW/terms.md``.
"""

import sys

from builder.command import main

if __name__ == "__main__":
    sys.exit(main())
