"""`python -m diorama` is the same program as `diorama`."""

from diorama.cli import main

if __name__ == "__main__":
    main()
