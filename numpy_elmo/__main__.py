"""``python -m numpy_elmo`` is the command ``numpy-elmo``."""

import sys

from numpy_elmo.cli import main

sys.exit(main())
