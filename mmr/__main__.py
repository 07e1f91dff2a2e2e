"""`python -m mmr` is `mmr`."""

import signal


def main() -> None:
    """Run the program; while it is loading, Ctrl-C ends it without a word, as it would a program in C."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mmr.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
