"""Run the command line with ``python -m nbdeploy``."""

import sys

from nbdeploy.cli import main

sys.exit(main())
