"""What the docs name is there: paths, modules, names of the source, make targets, links, kinds of news."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import concmagic

ROOT = Path(__file__).parents[2]
PACKAGE = Path(concmagic.__file__).parent
DOCS = [ROOT / "CONTRIBUTING.md", ROOT / "newsfragments/README.md", *sorted(ROOT.glob("docs/**/*.md"))]
FILE = re.compile(r"[\w.*/+-]+")
SUFFIXES = (".py", ".md", ".js", ".css", ".sh", ".toml", ".svg", ".png")
NOT_OURS = ("/", "~", ".", "-", "build/")
OTHERS = {"numpy.py"}  # files of users
# Names of Python and of libraries that the docs tell of and the source does not use.
ELSEWHERE = {"Include/internal/pycore_debug_offsets.h", "sem_wait"}


def spans(text: str) -> Iterator[str]:
    """What stands in backticks outside of blocks of code."""
    prose = re.sub(r"^(?: {4}|```).*$", "", text, flags=re.MULTILINE)
    yield from (" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose))


def first_words(text: str) -> Iterator[str]:
    """The first word of each line of a block: a file, in a list of files."""
    for line in text.splitlines():
        if line.startswith("    ") and (words := line.split()) and words[0].endswith((".py", "/")):
            yield words[0]


@functools.cache
def files() -> list[str]:
    """Every file of the repository that a doc may name, from its root."""
    tops = ("src", "tests", "docs", "examples", "benchmarks", "findings", "newsfragments")
    inside = [path for top in tops for path in (ROOT / top).rglob("*") if "__pycache__" not in path.parts]
    return [path.relative_to(ROOT).as_posix() for path in (*inside, *ROOT.glob("*")) if path.is_file()]


@functools.cache
def words() -> set[str]:
    """Every word of the sources, the tests and what builds them."""
    read = [name for name in files() if name.endswith((".py", ".js", ".toml", "Makefile", ".sh"))]
    known: set[str] = set()
    for name in read:
        if name != "tests/unit/test_docs.py":
            known |= {*re.findall(r"\w+", (ROOT / name).read_text(encoding="utf-8"))}
    return known


def modules_called(name: str) -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if path.stem == name and path.stem != "__init__"]


def looks_like_a_path(span: str) -> bool:
    if not FILE.fullmatch(span) or span.startswith(NOT_OURS) or span in OTHERS | ELSEWHERE:
        return False
    top = span.split("/")[0]
    return span.endswith((*SUFFIXES, "/")) or (
        "/" in span and ((ROOT / top).is_dir() or (PACKAGE / top).is_dir())
    )


def is_there(path: str, doc: Path) -> bool:
    bases = (ROOT, PACKAGE, doc.parent)
    if any(next(iter(base.glob(path.rstrip("/"))), None) for base in bases):
        return True
    return "/" not in path and any(name.endswith(f"/{path}") for name in files())


def is_known(dotted: str) -> bool:
    """Whether a dotted name whose first part is a folder or module of the package leads somewhere."""
    first, *rest = dotted.removeprefix("concmagic.").split(".")
    if (PACKAGE / first).is_dir():
        path = PACKAGE / first
        while rest and (path / rest[0]).is_dir():
            path /= rest.pop(0)
        found = [path / f"{rest.pop(0)}.py"] if rest else [path / "__init__.py"]
    else:
        found = modules_called(first)
    texts = [path.read_text(encoding="utf-8") for path in found if path.is_file()]
    return any(not rest or re.search(rf"\b{re.escape(rest[0])}\b", text) for text in texts)


def names_the_package(span: str) -> bool:
    if not re.fullmatch(r"\w+(\.\w+)+", span) or span.endswith(SUFFIXES):
        return False
    first = span.removeprefix("concmagic.").split(".")[0]
    is_public = span.startswith("concmagic.") and first in {*concmagic.__all__}
    return not is_public and (
        span.startswith("concmagic.") or (PACKAGE / first).is_dir() or bool(modules_called(first))
    )


def looks_like_a_name(span: str) -> bool:
    """Whether it is written as names of a source are: with an underscore or a capital inside."""
    name = span.removesuffix("()")
    return bool(re.fullmatch(r"\w+", name)) and (
        "_" in name.strip("_") or bool(re.search(r"[a-z][A-Z]", name))
    )


def wrong(doc: Path) -> Iterator[str]:
    text = doc.read_text(encoding="utf-8")
    for span in (*spans(text), *first_words(text)):
        if span in ELSEWHERE or "NAME" in span:
            continue
        if looks_like_a_path(span):
            if not is_there(span, doc):
                yield f"no such file: {span}"
        elif names_the_package(span):
            if not is_known(span):
                yield f"no such module or name in it: {span}"
        elif looks_like_a_name(span) and span.removesuffix("()") not in words():
            yield f"no such name in the source: {span}"
    targets = {*re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)}
    for target in re.findall(r"(?:`|^    )(?:\w+=\S+ )*make ([\w-]+)", text, re.MULTILINE):
        if target not in targets:
            yield f"no such target: make {target}"
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        if not (doc.parent / link).exists():
            yield f"a link leads nowhere: {link}"


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc.relative_to(ROOT).as_posix())
def test_what_a_doc_names_is_there(doc: Path) -> None:
    assert [*wrong(doc)] == []


def test_what_is_not_there_is_found(tmp_path: Path) -> None:
    doc = tmp_path / "some.md"
    doc.write_text(
        "`recording/session.py` `recording/sesion.py` `model.reasons.ROWS` `model.reasons.LINES`\n"
        "`model.reason` `trace_cell` `trace_sell` `make test` `make tests` [a](b.md) `sessions.py`\n\n"
        "    importing/   records\n    imported/   records\n    make pictures   draws\n    make pics\n",
        encoding="utf-8",
    )
    assert [line.rpartition(" ")[2] for line in wrong(doc)] == [
        "recording/sesion.py",
        "model.reasons.LINES",
        "model.reason",
        "trace_sell",
        "sessions.py",
        "imported/",
        "tests",
        "pics",
        "b.md",
    ]


def test_each_decision_is_on_the_list_and_fits_a_screen() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    pages = [path for path in (ROOT / "docs/decisions").glob("*.md") if path.name != "README.md"]
    assert pages
    for page in pages:
        assert f"({page.name})" in index, page.name
        assert len(page.read_text(encoding="utf-8").splitlines()) <= 50, page.name


def test_news_are_of_a_kind_that_the_changelog_has() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    kinds = {row["directory"] for row in told["type"]}
    start = told["start_string"].strip()
    assert start in (ROOT / told["filename"]).read_text(encoding="utf-8")
    for path in (ROOT / told["directory"]).glob("*"):
        if path.name != "README.md":
            name, kind, suffix = path.name.rsplit(".", 2)
            assert name.startswith("+") and kind in kinds and suffix == "md", path.name
            assert path.read_text(encoding="utf-8").strip(), path.name
