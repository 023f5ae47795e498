"""What is wrong with a site file: each fault with its place, what is wrong and what would be right."""

from dataclasses import dataclass, field
from pathlib import Path

from loadmgr.site_file.document import Document, PathKey


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault or warning; line and column count from 1, and ``path`` is the place in the document's values."""

    line: int
    column: int
    text: str
    advice: str
    path: PathKey = field(default=(), compare=False)

    def shown(self, path: Path | str, prefix: str = "") -> str:
        """Return the line that a person or an editor reads; one line, whatever the file holds."""
        said = f"{prefix}{self.text}; {self.advice}".replace("\n", " ")
        return f"{path}:{self.line}:{self.column}: {said}"


@dataclass(slots=True)
class FaultList:
    """Collects everything that is wrong in one reading."""

    document: Document
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    def add(self, path: PathKey, text: str, advice: str, *, at_key: bool = False) -> None:
        """Note a fault at the value, or the key, of a path."""
        self._note(self.faults, path, text, advice, at_key=at_key)

    def warn(self, path: PathKey, text: str, advice: str, *, at_key: bool = False) -> None:
        """Note something that works and is perhaps not meant."""
        self._note(self.warnings, path, text, advice, at_key=at_key)

    def _note(self, into: list[Fault], path: PathKey, text: str, advice: str, *, at_key: bool) -> None:
        line, column = self.document.place(path, at_key=at_key)
        fault = Fault(line, column, text, advice, path)
        if fault not in into:
            into.append(fault)
