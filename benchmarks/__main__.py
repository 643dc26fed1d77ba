"""``python -m benchmarks COMMAND``."""

from __future__ import annotations

import argparse

from benchmarks import explorer, language_model, plots, products, report, run

COMMANDS = {
    "run": (run, "measure speed, memory and size, also of the peers, and write JSON"),
    "report": (report, "render the figures as Markdown tables"),
    "plot": (plots, "draw the figures"),
    "language-model": (language_model, "measure full normalisation against a matrix product"),
    "explorer": (explorer, "measure how long the explorer's page waits for answers"),
    "products": (products, "measure matrix products in every form, by number of rows"),
}


def main(argv: list[str] | None = None) -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Benchmarks of numpy_elmo.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (module, described) in COMMANDS.items():
        command = commands.add_parser(name, help=described, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(main=module.main)
    arguments = parser.parse_args(argv)
    arguments.main(arguments)


if __name__ == "__main__":
    main()
