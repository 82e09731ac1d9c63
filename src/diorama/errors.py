"""The one exception that users see: what is wrong, where, and what to do next, in one line."""

from __future__ import annotations


class DioramaError(Exception):
    """A fault that the user can act on; the command line prints it as one line and exits with code 2.

    Args:
        what: what is wrong.
        where: the file, stage or option concerned.
        fix: what to do next.
    """

    def __init__(self, what: str, *, where: object = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, str(where), fix
        place = f"{self.where}: " if self.where else ""
        advice = f"; {fix}" if fix else ""
        super().__init__(" ".join(f"{place}{what}{advice}".split()))
