"""``python -m drs``."""

from drs.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
