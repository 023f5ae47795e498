"""Writes the golden documents and the results that the code gives now; run by hand, and review the difference.

``python -m tests.golden.composite.make`` rewrites every ``result.json`` beside its ``document.json``.
"""

import json
from pathlib import Path

from loadmgr.apps.composite.composite_document import read_document
from loadmgr.apps.composite.composite_run import run_document

HERE = Path(__file__).parent


def result_of(folder: Path) -> dict[str, object]:
    """Return what the document of a folder gives."""
    data = json.loads((folder / "document.json").read_text(encoding="utf-8"))
    return {"results": run_document(read_document(data, place=folder.name)).results}


if __name__ == "__main__":
    for document in sorted(HERE.glob("*/document.json")):
        text = json.dumps(result_of(document.parent), indent=1)
        (document.parent / "result.json").write_text(text + "\n", encoding="utf-8")
