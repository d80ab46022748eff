"""What stands on a magic's line: options, then nothing or a header; a wrong one is one sentence."""

from __future__ import annotations

import multiprocessing
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concmagic import sentences
from concmagic.errors import OptionError
from concmagic.options import MAGICS, OPTIONS, Options, help_text, parse, wants_help


@pytest.mark.parametrize("model", MAGICS)
def test_an_empty_line_is_a_whole_cell_with_defaults(model):
    assert parse(model, "  ") == Options(model)


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("-w 8 for url in urls", {"workers": 8, "header": "for url in urls"}),
        ("-w8 for url in urls", {"workers": 8, "header": "for url in urls"}),
        ("-w=8 for url in urls", {"workers": 8, "header": "for url in urls"}),
        ("--workers=8 for url in urls", {"workers": 8, "header": "for url in urls"}),
        ("for n in numbers:", {"header": "for n in numbers"}),
        ("for n in numbers  # all of them: 20", {"header": "for n in numbers"}),
        ("for n in ['#', 'a:']:  # both", {"header": "for n in ['#', 'a:']"}),
        ("for(a, b) in pairs", {"header": "for(a, b) in pairs"}),
        ("for\tn in x", {"header": "for\tn in x"}),
        ("for n in x[1:]", {"header": "for n in x[1:]"}),
        ("for n in {'it''s \"quoted\"'}", {"header": "for n in {'it''s \"quoted\"'}"}),
        ("-r pages -o trace for n in x", {"results_name": "pages", "trace_name": "trace"}),
        ("-r größe", {"results_name": "größe"}),
        ("--save out/run.json.gz", {"save": "out/run.json.gz"}),
        ("--save 'my run.html'", {"save": "my run.html"}),
        ("--detail=states", {"detail": "states"}),
        ('--predict "for whom is it?" for n in x', {"predict": "for whom is it?"}),
        ("--predict='Who?'", {"predict": "Who?"}),
        ("--timeout 0.5", {"timeout": 0.5}),
        ("--all -q", {"show_all": True, "quiet": True}),
        ("--keep-going for n in x", {"keep_going": True}),
    ],
)
def test_an_option_sets_its_field(line, fields):
    found = parse("threads", line)
    assert {name: getattr(found, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("model", "line", "says"),
    [
        ("threads", "-w 0 for n in x", "-w needs a whole number from 1 on, not '0'."),
        ("threads", "-w two for n in x", "-w needs a whole number from 1 on, not 'two'."),
        ("threads", "-w", "-w needs a whole number from 1 on after it."),
        ("threads", "-w for n in x", "-w needs a whole number from 1 on after it."),
        ("threads", "-w 2 -w 3 for n in x", "-w stands there twice"),
        ("threads", "-r class for n in x", "-r needs a name for a variable, not 'class'."),
        ("threads", "-o my-trace", "-o needs a name for a variable, not 'my-trace'."),
        ("threads", "-r a -o a", "take two names"),
        ("threads", "--save run.png", "ends in .html, .svg, .txt, .json, .json.gz, not 'run.png'"),
        ("threads", "--detail most", "auto, calls or states"),
        ("threads", "--timeout 0", "a number of seconds above 0"),
        ("threads", "--timeout inf", "a number of seconds above 0"),
        ("threads", "--timeout nan", "a number of seconds above 0"),
        ("threads", "--predict ''", "a question in quotes"),
        ("threads", "--predict 'Who", "A quote is not closed"),
        ("threads", "-q=1", "-q takes no value"),
        ("threads", "--detial calls", "did you mean --detail?"),
        ("threads", "--keep for n in x", "did you mean --keep-going?"),
        ("threads", "-z", "-h shows the options"),
        ("threads", "-h -q", "-h stands alone"),
        ("threads", "n in numbers", "a header like `for url in urls`"),
        ("threads", "fore n in numbers", "a header like `for url in urls`"),
        ("threads", "-w 8", "%%threads -w … for item in items"),
        ("threads", "--keep-going", "for loops"),
        ("threads", "--start-method fork for n in x", "an option of %%procs"),
        ("procs", "--start-method forked for n in x", "--start-method needs one of"),
        ("timeline", "for n in x", "whole cells only"),
        ("timeline", "-w 3", "whole cells only"),
        ("threads", "async for n in x", "`async for` needs %%asyncio_trace"),
        ("procs", "async for n in x", "`async for` needs %%asyncio_trace"),
    ],
)
def test_a_wrong_option_is_one_sentence_that_says_what_would_be_right(model, line, says):
    with pytest.raises(OptionError) as caught:
        parse(model, line)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "late",
    ["-q", "-w 8", "-w8", "--all", "--keep-going", "--detail=calls", "--save run.html", "-q:", "-r out"],
)
def test_an_option_after_the_iterable_is_told_to_stand_before_for(late):
    with pytest.raises(OptionError, match=r"Options stand before `for`: move -"):
        parse("threads", f"for n in numbers {late}")


@pytest.mark.parametrize(
    "header",
    [
        "for n in a - q",
        "for n in a-q",
        "for n in a - -q",
        "for n in a -b",
        "for n in f(-q)",
        "for n in [x -q]",
        "for n in 'a -q'",
        "for n in (-q, -w)",
        "for n in range(-w8)",
    ],
)
def test_a_subtraction_is_no_option(header):
    assert parse("threads", header).header == header


def test_every_start_method_of_this_platform_can_be_asked_for():
    for method in multiprocessing.get_all_start_methods():
        assert parse("procs", f"--start-method {method}").start_method == method


def test_async_for_is_a_header_under_asyncio():
    assert parse("asyncio", "-w 2 async for url in feed()").header == "async for url in feed()"


@pytest.mark.parametrize("model", MAGICS)
def test_help_names_every_option_and_two_examples(model):
    text = help_text(model)
    assert all(flag in text for option in OPTIONS[model] for flag in option.flags)
    assert text.startswith(MAGICS[model])
    assert text.count(f"\n  {MAGICS[model]}") == 2


@pytest.mark.parametrize(
    ("line", "wanted"), [("-h", True), (" --help ", True), ("-q", False), ("-h -q", False)]
)
def test_help_is_asked_for_by_h_alone(line, wanted):
    assert wants_help(line) is wanted


@pytest.mark.parametrize("model", MAGICS)
def test_the_examples_in_the_help_are_right(model):
    for example in sentences.EXAMPLES[model]:
        typed = re.split(r" {2,}", example.strip())[0]
        magic, _, line = typed.partition(" ")
        assert magic == MAGICS[model]
        assert isinstance(parse(model, line), Options)


@given(st.text(alphabet="-wroq=for in x'\"8 ()[]:#\\", max_size=30))
def test_any_line_is_options_or_one_sentence(line):
    try:
        found = parse("threads", line)
    except OptionError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(found, Options)
