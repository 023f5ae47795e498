"""``python -m loadmgr`` is the command ``loadmgr``."""

from loadmgr.apps.cli import main

if __name__ == "__main__":
    main()
