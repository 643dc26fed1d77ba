"""``python -m benchmarks COMMAND``."""

from __future__ import annotations

import argparse

from benchmarks import explorer, language_model, plots, products, report, run

COMMANDS = {
    "run": (run, "measure speed, memory and size, beside the peers, and write JSON"),
    "report": (report, "render the figures as Markdown tables"),
    "plot": (plots, "draw the figures"),
    "language-model": (language_model, "what full normalisation costs, in matrix products"),
    "explorer": (explorer, "how long the page of the explorer waits for its answers"),
    "products": (products, "products in every form, by number of rows"),
}


def main(argv: list[str] | None = None) -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measurements; none of them is a test.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (module, described) in COMMANDS.items():
        command = commands.add_parser(name, help=described, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(main=module.main)
    arguments = parser.parse_args(argv)
    arguments.main(arguments)


if __name__ == "__main__":
    main()
