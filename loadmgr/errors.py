"""Errors of loadmgr.

Wrong arguments are ``ValueError``; expected outcomes (Rejected, time limit hit) are values, not errors.

* LoadManagerError
    * SiteFileError: a site file with faults, each with line and column
    * InputError: another file or document that cannot be used
    * JournalError: a journal cannot be opened, read or trusted
    * SolverError: the solver gave no usable answer (the water-filled answer stands)
"""


class LoadManagerError(Exception):
    """Root of every error that loadmgr raises on purpose."""


class SiteFileError(LoadManagerError):
    """A site file cannot be used; the message holds one line per fault."""


class InputError(LoadManagerError):
    """An input file or document cannot be used; the message names the file, place and field."""


class SolverError(LoadManagerError):
    """The solver gave no usable answer; never seen by a caller of the controller."""


class JournalError(LoadManagerError):
    """A journal cannot be opened, read or trusted; the message names it and what would help."""
