"""The entry point of `twopass`, which ends without a traceback from its first moment on."""

import signal


def run() -> None:
    """Runs the command.

    Importing what commands need takes a second or two; Ctrl-C during that time ends the process as
    it ends programs that handle no signals.
    """
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from twopass.commands.interrupts import ending_status, watched
    from twopass.commands.main import app

    try:
        with watched():
            signal.signal(signal.SIGINT, handler)
            app()
    except (Exception, KeyboardInterrupt) as error:
        if (status := ending_status(error)) is None:
            raise
        raise SystemExit(status) from None


if __name__ == "__main__":
    run()
