"""What the runs have found: kept in `results.json`, written into docs/testing.md."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutants.operators import Mutant
from tests.mutants.runner import PACKAGE, ROOT

RESULTS = Path(__file__).with_name("results.json")
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
PAGE = ROOT / "docs" / "testing.md"
BEGIN, END = "<!-- mutants:begin -->", "<!-- mutants:end -->"
PACKAGES = ("mail", "sending", "auth", "storage", "graph")


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test noticed."""

    line: int
    before: str
    after: str


@dataclass(frozen=True)
class Result:
    """One module: how many of its mutants were run, and which survived.

    Attributes:
        digest: of the source that was mutated.
        mutants: how many were run.
        survivors: those that no test noticed.
        every: 1 if all were run, otherwise that only every so-manieth was.
    """

    digest: str
    mutants: int
    survivors: tuple[Survivor, ...]
    every: int = 1


@dataclass(frozen=True)
class Score:
    """What is counted of one or several modules."""

    mutants: int
    equivalent: int
    survived: int

    @property
    def share(self) -> float:
        """The share of the mutants that could be killed and were."""
        can_die = self.mutants - self.equivalent
        return 100 * (can_die - self.survived) / can_die if can_die else 100.0


Reasons = dict[tuple[str, str, str], str]


def survivor_of(mutant: Mutant) -> Survivor:
    """Return what is kept of a mutant that survived."""
    return Survivor(mutant.line, mutant.before, mutant.after)


def digest(source: str) -> str:
    """Return what tells one state of a module from another."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def read_results(path: Path = RESULTS) -> dict[str, Result]:
    """Return the results of all modules that were ever run, by module."""
    found = json.loads(path.read_text()) if path.exists() else {}
    return {
        module: Result(**{**one, "survivors": tuple(Survivor(**it) for it in one["survivors"])})
        for module, one in found.items()
    }


def write_results(results: dict[str, Result], path: Path = RESULTS) -> None:
    """Keep the results, in the order of the modules' names."""
    path.write_text(json.dumps({name: asdict(results[name]) for name in sorted(results)}, indent=1) + "\n")


def read_reasons(path: Path = EQUIVALENT) -> Reasons:
    """Return why a mutant is no other program, by module, line before and line after."""
    entries = tomllib.loads(path.read_text())["equivalent"]
    return {(one["module"], one["before"], one["after"]): one["reason"] for one in entries}


def score(results: Iterable[tuple[str, Result]], reasons: Reasons) -> Score:
    """Count the mutants of some modules."""
    mutants = equivalent = survived = 0
    for module, result in results:
        excused = sum((module, one.before, one.after) in reasons for one in result.survivors)
        mutants += result.mutants
        equivalent += excused
        survived += len(result.survivors) - excused
    return Score(mutants, equivalent, survived)


def page_section(results: dict[str, Result], reasons: Reasons) -> str:
    """Return the part of the page between the markers."""
    packages = [name for name in PACKAGES if any(module.startswith(f"{name}/") for module in results)]
    rows = [
        _row(f"**{name}**", [it for it in results.items() if it[0].startswith(f"{name}/")], reasons)
        for name in packages
    ]
    rows.append(_row("**all of these**", list(results.items()), reasons))
    lines = [
        BEGIN,
        "",
        "| Package or module | Mutants run | Killed | Equivalent | Survived | Score |",
        "|---|---:|---:|---:|---:|---:|",
        *rows,
        *(_row(f"`{module}`{_age(module, result)}", [(module, result)], reasons) for module, result in results.items()),
        "",
        *_not_run(results),
        *_list("Survivors", [it for it in _survivors(results) if it not in reasons], reasons),
        *_list("Equivalent", [it for it in _survivors(results) if it in reasons], reasons),
        END,
    ]
    return "\n".join(lines)


def _row(name: str, results: list[tuple[str, Result]], reasons: Reasons) -> str:
    found = score(results, reasons)
    killed = found.mutants - found.equivalent - found.survived
    return f"| {name} | {found.mutants} | {killed} | {found.equivalent} | {found.survived} | {found.share:.1f} % |"


def _age(module: str, result: Result) -> str:
    path = PACKAGE / module
    is_current = path.exists() and digest(path.read_text()) == result.digest
    notes = [f"one in {result.every}"] * (result.every > 1) + ["changed since"] * (not is_current)
    return f" ({', '.join(notes)})" if notes else ""


def _not_run(results: dict[str, Result]) -> list[str]:
    known = [str(path.relative_to(PACKAGE)) for path in modules_of(PACKAGES)]
    missing = [f"`{name}`" for name in known if name not in results]
    return [f"Not run yet: {', '.join(missing)}.", ""] if missing else []


def _survivors(results: dict[str, Result]) -> list[tuple[str, str, str]]:
    return [(module, one.before, one.after) for module, result in results.items() for one in result.survivors]


def _list(title: str, survivors: list[tuple[str, str, str]], reasons: Reasons) -> list[str]:
    if not survivors:
        return []
    lines = [f"{title}:", ""]
    for module, before, after in survivors:
        reason = f": {reasons[module, before, after]}" if (module, before, after) in reasons else ""
        lines.append(f"- `{module}`: {_code(before)} → {_code(after)}{reason}")
    return [*lines, ""]


def _code(text: str) -> str:
    return f"`` {text} ``" if text else "nothing"


def modules_of(names: Iterable[str]) -> list[Path]:
    """Return the modules that `mail`, `mail/html` or `mail/html/css.py` stands for. Raises ValueError."""
    found: list[Path] = []
    for name in names:
        place = PACKAGE / name.removeprefix("src/").removeprefix("m365_mcp/")
        if not place.exists():
            raise ValueError(f"there is no {name} in {PACKAGE}")
        found += [place] if place.is_file() else sorted(place.rglob("*.py"))
    return found


def write_page(section: str, path: Path = PAGE) -> None:
    """Put the section between its markers."""
    text = path.read_text()
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{path} has no markers for the mutants")
    path.write_text(before + section + after)
