"""``python -m fairjax`` is the command ``fairjax``."""

import sys

from fairjax.cli import main

sys.exit(main())
