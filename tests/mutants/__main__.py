"""`python -m tests.mutants [package or module …]`: put bugs in, count who notices, write it into docs/testing.md."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from tests.mutants.operators import Mutant, mutants_of
from tests.mutants.report import (
    PACKAGES,
    Result,
    Survivor,
    digest,
    modules_of,
    page_section,
    read_reasons,
    read_results,
    score,
    survivor_of,
    write_page,
    write_results,
)
from tests.mutants.runner import PACKAGE, Runner


def main(arguments: list[str]) -> int:
    """Run the mutants of the modules that are named, or of all."""
    asked = _read(arguments)
    paths = modules_of(asked.names or PACKAGES)
    for package, group in groupby(paths, lambda path: path.relative_to(PACKAGE).parts[0]):
        runner = Runner(package)
        ran = runner.warm_up()
        if not ran.reach:
            print(f"the tests of {package} do not run without any mutant")  # noqa: T201 - a program for people
            return 1
        for test in ran.failed:
            print(f"left out, because it fails while the lines are recorded: {test}", flush=True)  # noqa: T201
        for path in group:
            _report(str(path.relative_to(PACKAGE)), _run_module(path, runner, asked.every, _known(path, asked)))
    return 0


def _known(path: Path, asked: Namespace) -> Result | None:
    """Return the last result of a module, if only its survivors are to be run: no sample replaces a larger run."""
    last = read_results().get(str(path.relative_to(PACKAGE)))
    if last is None or asked.survivors:
        return last
    return last if last.digest == digest(path.read_text()) and last.every < asked.every else None


def _read(arguments: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="packages or modules; all, if none is named")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="run only every N-th mutant of a module")
    parser.add_argument("--survivors", action="store_true", help="run only those that survived last time")
    return parser.parse_args(arguments)


def _run_module(path: Path, runner: Runner, every: int, known: Result | None) -> Result:
    """Run the mutants of a module; of one whose result is `known`, only the survivors."""
    source = path.read_text()
    if known is not None:
        return replace(known, survivors=_survivors(path, runner, _still_there(mutants_of(source), known)))
    tried = mutants_of(source)[::every]
    return Result(digest(source), len(tried), _survivors(path, runner, tried), every)


def _still_there(mutants: Sequence[Mutant], known: Result) -> list[Mutant]:
    """Return the mutants that survived last time, also where the module has changed since."""
    last = {(one.before, one.after) for one in known.survivors}
    return [mutant for mutant in mutants if (mutant.before, mutant.after) in last]


def _survivors(path: Path, runner: Runner, mutants: Iterable[Mutant]) -> tuple[Survivor, ...]:
    """Return the mutants that no test notices, without running those that are known as equivalent."""
    module, reasons = str(path.relative_to(PACKAGE)), read_reasons()
    name = ".".join(["m365_mcp", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
    return tuple(
        survivor_of(mutant)
        for mutant in mutants
        if (module, mutant.before, mutant.after) in reasons or runner.run(name, path, mutant.source, mutant.line).passed
    )


def _report(module: str, result: Result) -> None:
    """Keep the result of a module at once, so that a run that is broken off loses nothing."""
    reasons = read_reasons()
    results = {**read_results(), module: result}
    found = score([(module, result)], reasons)
    write_results(results)
    write_page(page_section(dict(sorted(results.items())), reasons))
    print(f"{module}: {found.mutants} mutants, {found.survived} survived, {found.share:.1f} %", flush=True)  # noqa: T201
    for one in result.survivors:
        if (module, one.before, one.after) not in reasons:
            print(f"  {one.line}: {one.before}  →  {one.after}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
