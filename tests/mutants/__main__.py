"""`python -m tests.mutants [package or module …]`: put bugs in, count who notices, write it into docs/testing.md."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from tests.mutants.operators import mutants_of
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
    write_page,
    write_results,
)
from tests.mutants.runner import PACKAGE, Runner


def main(arguments: list[str]) -> int:
    """Run the mutants of the modules that are named, or of all."""
    paths = modules_of(arguments or PACKAGES)
    for package, group in groupby(paths, lambda path: path.relative_to(PACKAGE).parts[0]):
        runner = Runner(package)
        ran = runner.warm_up()
        if not ran.passed:
            print(f"tests/{package} fails without any mutant: {ran.killer}")  # noqa: T201 - a program for people
            return 1
        for path in group:
            _report(str(path.relative_to(PACKAGE)), _run_module(path, runner))
    return 0


def _run_module(path: Path, runner: Runner) -> Result:
    source = path.read_text()
    name = ".".join(["m365_mcp", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
    mutants = mutants_of(source)
    survivors = [
        Survivor(mutant.line, mutant.before, mutant.after)
        for mutant in mutants
        if runner.run(name, path, mutant.source).passed
    ]
    return Result(digest(source), len(mutants), tuple(survivors))


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
