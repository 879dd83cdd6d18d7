"""``python -m conqure`` is the command ``conqure``."""

from .cli import main

if __name__ == "__main__":
    main()
