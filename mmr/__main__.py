"""`python -m mmr` is `mmr`."""

from mmr.cli.main import main

main()
