"""`python -m ragline` is the command `ragline`."""

from ragline.cli import main

main()
