"""``python -m deepfer``: the command line."""

from deepfer.cli.app import main

if __name__ == "__main__":
    main()
