"""Entry point of ``egostream`` and ``python -m egostream``. Light: every worker process imports it again."""


def main() -> None:
    from egostream.terminal import cli

    cli.main()


if __name__ == "__main__":
    main()
