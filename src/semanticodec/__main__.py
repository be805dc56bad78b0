"""`python -m semanticodec` is `semanticodec`."""

import sys

from semanticodec.cli import main

if __name__ == "__main__":
    sys.exit(main())
