"""What can stand on a magic's line, one table for all magics, and how a line is read into frozen Options."""

from __future__ import annotations

import difflib
import io
import keyword
import multiprocessing
import re
import shlex
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from concmagic import sentences
from concmagic.errors import OptionError

Model = Literal["asyncio", "threads", "procs", "timeline"]
Detail = Literal["auto", "calls", "states"]
Suffix = Literal[".html", ".svg", ".txt", ".json", ".json.gz"]  # of what a trace is saved as


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one magic's line; `header` is everything from `for` on, "" for a whole cell."""

    model: Model
    header: str = ""
    workers: int | None = None
    results_name: str = ""
    trace_name: str = ""
    save: str = ""
    detail: Detail = "auto"
    predict: str = ""
    timeout: float | None = None
    show_all: bool = False
    quiet: bool = False
    keep_going: bool = False
    start_method: str = ""


# ---- what an option's value may be -----------------------------------------------------------


def _workers(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError
    return seconds


def _checked(is_right: Callable[[str], bool]) -> Callable[[str], str]:
    """What answers a text as it is, and refuses one that is not right."""

    def value(text: str) -> str:
        if not is_right(text):
            raise ValueError
        return text

    return value


SUFFIXES: tuple[Suffix, ...] = get_args(Suffix)
DETAILS: tuple[Detail, ...] = get_args(Detail)
_START_METHODS = multiprocessing.get_all_start_methods()

_name = _checked(lambda text: text.isidentifier() and not keyword.iskeyword(text))
_path = _checked(lambda text: text.lower().endswith(SUFFIXES))
_text = _checked(lambda text: bool(text.strip()))
_detail = _checked(lambda text: text in DETAILS)
_start_method = _checked(lambda text: text in _START_METHODS)


# ---- the options, in groups ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Option:
    """One option: how it is written, which field of Options it sets, what its value is."""

    field: str
    flags: tuple[str, ...]
    metavar: str = ""  # "": it takes no value
    value: Callable[[str], Any] = str
    needs: str = ""  # what its value must be, for an error
    loop_only: bool = False  # it means nothing without a `for` header

    @property
    def help(self) -> str:
        """One line for -h."""
        return sentences.OPTION_HELP[self.field]


_LOOP = (
    Option("workers", ("-w", "--workers"), "N", _workers, "a whole number from 1 on", True),
    Option("keep_going", ("--keep-going",), loop_only=True),
)
_CELL = (
    Option("results_name", ("-r", "--results"), "NAME", _name, "a name for a variable"),
    Option("trace_name", ("-o", "--output"), "NAME", _name, "a name for a variable"),
    Option("save", ("--save",), "PATH", _path, f"a file name that ends in {', '.join(SUFFIXES)}"),
    Option("detail", ("--detail",), "|".join(DETAILS), _detail, "auto, calls or states"),
    Option("predict", ("--predict",), '"QUESTION"', _text, "a question in quotes"),
    Option("timeout", ("--timeout",), "SECONDS", _seconds, "a number of seconds above 0"),
    Option("show_all", ("--all",)),
    Option("quiet", ("-q", "--quiet")),
)
_START_METHOD = Option(
    "start_method",
    ("--start-method",),
    "fork|spawn|forkserver",
    _start_method,
    f"one of {', '.join(_START_METHODS)} on this platform",
)
_HELP = Option("help", ("-h", "--help"))

OPTIONS: dict[Model, tuple[Option, ...]] = {
    "asyncio": (*_LOOP, *_CELL, _HELP),
    "threads": (*_LOOP, *_CELL, _HELP),
    "procs": (*_LOOP, _START_METHOD, *_CELL, _HELP),
    "timeline": (*_CELL, _HELP),
}
MAGICS: dict[Model, str] = {
    "asyncio": "%%asyncio_trace",
    "threads": "%%threads",
    "procs": "%%procs",
    "timeline": "%%timeline",
}


# ---- a line of options -----------------------------------------------------------------------

_ELSEWHERE = {flag for options in OPTIONS.values() for option in options for flag in option.flags}
_HEADER = re.compile(r"(async\s+)?for(?![\w=])")


def wants_help(line: str) -> bool:
    """Whether the line asks what the magic does, and nothing is to run."""
    return line.split() in (["-h"], ["--help"])


def help_text(model: Model) -> str:
    """What `-h` prints: a sentence, the options, two examples."""
    lines = [sentences.MAGIC_DOES[model], "", sentences.OPTIONS_TITLE]
    for option in OPTIONS[model]:
        written = " ".join(filter(None, (", ".join(option.flags), option.metavar)))
        lines.append(f"  {written:<38} {option.help}")
    return "\n".join([*lines, "", sentences.EXAMPLES_TITLE, *sentences.EXAMPLES[model]])


def parse(model: Model, line: str) -> Options:
    """Read a magic's line: options, then nothing or a `for` header.

    Raises OptionError with one sentence that says what would be right.
    """
    found: dict[str, Any] = {}
    rest = line.strip()
    while rest and not _HEADER.match(rest):
        word, rest = _next_word(rest)
        rest = _take(model, word, rest, found)
    header = _checked_header(model, rest) if rest else ""
    _check_together(model, found, header)
    return Options(model, header, **found)


def _take(model: Model, word: str, rest: str, found: dict[str, Any]) -> str:
    """Note the option that `word` is; answers what follows it and its value."""
    flag, value = _split_word(word)
    option = _option(model, flag)
    if option.field == "help":
        raise OptionError(sentences.help_stands_alone(flag))
    if option.field in found:
        raise OptionError(sentences.option_twice(flag))
    if not option.metavar:
        if value is not None:
            raise OptionError(sentences.option_takes_no_value(flag))
        found[option.field] = True
        return rest
    if value is None:
        if not rest or _HEADER.match(rest):
            raise OptionError(sentences.option_needs_value(flag, option.needs))
        value, rest = _next_word(rest)
    try:
        found[option.field] = option.value(value)
    except ValueError:
        raise OptionError(sentences.wrong_value(flag, option.needs, value)) from None
    return rest


def _next_word(text: str) -> tuple[str, str]:
    """The first word by a shell's rules of quoting, and what follows it."""
    stream = io.StringIO(text)
    reader = shlex.shlex(stream, posix=True)
    reader.whitespace_split, reader.commenters = True, ""
    try:
        word = reader.get_token() or ""
    except ValueError:
        raise OptionError(sentences.quote_not_closed(text)) from None
    return word, text[stream.tell() :].lstrip()


def _split_word(word: str) -> tuple[str, str | None]:
    """Cut `--detail=calls`, `-w=8` and `-w8` into flag and value."""
    if word.startswith("--") or "=" in word[:3]:
        flag, equals, value = word.partition("=")
        return flag, value if equals else None
    if word.startswith("-") and len(word) > 2:
        return word[:2], word[2:]
    return word, None


def _option(model: Model, flag: str) -> Option:
    for option in OPTIONS[model]:
        if flag in option.flags:
            return option
    magic, flags = MAGICS[model], [flag for option in OPTIONS[model] for flag in option.flags]
    if flag in _ELSEWHERE:
        raise OptionError(sentences.option_of_another(flag, magic))
    if flag.startswith("-"):
        raise OptionError(sentences.no_such_option(magic, flag, _closest(flag, flags)))
    raise OptionError(sentences.not_a_header(magic, flag, model == "timeline"))


def _closest(flag: str, flags: list[str]) -> str:
    """The option that was probably meant; a beginning of a long one counts, too."""
    begun = [each for each in flags if len(flag) > 2 and each.startswith(flag)]
    return next(iter(begun or difflib.get_close_matches(flag, flags, 1, 0.6)), "")


def _check_together(model: Model, found: dict[str, Any], header: str) -> None:
    for option in OPTIONS[model]:
        if option.loop_only and option.field in found and not header:
            raise OptionError(sentences.needs_a_header(option.flags[0], MAGICS[model]))
    if found.get("results_name") and found.get("results_name") == found.get("trace_name"):
        raise OptionError(sentences.one_name_twice(found["results_name"]))


# ---- the header ------------------------------------------------------------------------------


def _checked_header(model: Model, text: str) -> str:
    """The header as it was typed, without its comment and its colon."""
    if model == "timeline":
        raise OptionError(sentences.WHOLE_CELLS_ONLY)
    if text.startswith("async") and model != "asyncio":
        raise OptionError(sentences.async_for_elsewhere(MAGICS[model]))
    tokens = _tokens(text)
    late = _late_option(model, tokens)
    if late:
        raise OptionError(sentences.option_after_for(late))
    comment = next((token.start[1] for token in tokens if token.type == tokenize.COMMENT), len(text))
    return text[:comment].rstrip().removesuffix(":").rstrip()


def _tokens(text: str) -> list[tokenize.TokenInfo]:
    """The tokens of the header, as far as Python can tell them; it is compiled later."""
    tokens: list[tokenize.TokenInfo] = []
    try:
        tokens.extend(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return tokens
    return tokens


def _late_option(model: Model, tokens: list[tokenize.TokenInfo]) -> str:
    """An option after the iterable: a subtraction to Python, but typed as nobody types one."""
    depth = 0
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(token.string, 0)
        if token.string != "-" or depth or before.end == token.start or before.string == "-":
            continue
        # Up to the next blank: the whole of `--keep-going`, `-w8`, `--detail=calls`.
        word = token.line[token.start[1] :].split()[0].rstrip(":")
        flag = _split_word(word)[0]
        if token.end == after.start and any(flag in option.flags for option in OPTIONS[model]):
            return word
    return ""
