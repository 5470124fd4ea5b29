"""What the user did wrong, said in one line."""

import difflib
import errno
import sys


class MagganError(Exception):
    """A mistake the user can mend: its text is one line that names the file or value, and the fix."""


def nearest(name, names, what):
    """The error for an unknown `name` of kind `what`, with the nearest right one of `names`."""
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.3)
    hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(names)}."
    return MagganError(f"unknown {what} '{name}': {hint}")


def no_room(error):
    """Whether an error says that the disk is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def cli(main):
    """Run the command `main` and exit: 2 with one line for a MagganError or a full disk, 130 when interrupted.

    A user's mistake never ends in a traceback; a mistake of ours always does.
    """
    try:
        main()
    except MagganError as error:
        print(f"maggan: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if not no_room(error):
            raise
        print("maggan: the disk is full; make room, and the same command goes on from here.", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("maggan: interrupted; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)
