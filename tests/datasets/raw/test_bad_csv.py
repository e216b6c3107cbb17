"""Text tables as people have them, modelled on public reports: right by a plain loop, or one
sentence."""

import bz2
import gzip
import lzma
import re
import zipfile
from collections.abc import Callable
from io import BytesIO

import pytest

RIGHT = ""
Bytes = Callable[[list[str]], bytes]


def joined(lines: list[str], end: str = "\n") -> bytes:
    return (end.join(lines) + end).encode()


def head(change: Callable[[str], str]) -> Bytes:
    return lambda lines: joined([change(lines[0]), *lines[1:]])


def row(number: int, change: Callable[[str], str]) -> Bytes:
    """One data row, counted from 0."""
    return lambda lines: joined([change(x) if k == number + 1 else x for k, x in enumerate(lines)])


def every(change: Callable[[str], str]) -> Bytes:
    return lambda lines: joined([change(line) for line in lines])


def zipped(lines: list[str]) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("log.csv", joined(lines))
    return file.getvalue()


def cell(place: int, value: str, number: int = 3) -> Bytes:
    """One cell: u, i, y, t, d, n are places 0 to 5."""

    def change(line: str) -> str:
        cells = line.split(",")
        cells[place] = value
        return ",".join(cells)

    return row(number, change)


def quoted(line: str) -> str:
    return ",".join(f'"{value}"' for value in line.split(","))


LONG = "x" * 200_000
# the log as bytes -> a pattern of the sentence, RIGHT where the store must equal the rows
TEXTS: dict[str, tuple[Bytes, str]] = {
    # encodings
    "a byte order mark": (lambda x: b"\xef\xbb\xbf" + joined(x), RIGHT),
    "a mark and a quoted header": (
        lambda x: b"\xef\xbb\xbf" + joined([quoted(x[0]), *x[1:]]),
        RIGHT,
    ),
    "UTF-16 with a mark": (lambda x: joined(x).decode().encode("utf-16"), "UTF-8"),
    "UTF-16 little end": (lambda x: joined(x).decode().encode("utf-16-le"), "not a table of text"),
    "UTF-16 big end": (lambda x: joined(x).decode().encode("utf-16-be"), "not a table of text"),
    "UTF-32": (lambda x: joined(x).decode().encode("utf-32"), "UTF-8|not a table"),
    "Windows quotes": (lambda x: joined(x).replace(b",a,", b",\x93a\x94,", 1), r"log\.csv"),
    "Shift-JIS": (lambda x: joined(x).replace(b",a,", "表示".encode("shift_jis"), 1), r"log\.csv"),
    "GB18030": (
        lambda x: joined(x).replace(b",a,", b"," + "视频".encode("gb18030") + b",", 1),
        r"log\.csv",
    ),
    "a lone surrogate": (lambda x: joined(x).replace(b",a,", b",\xed\xa0\x80,", 1), r"log\.csv"),
    "a NUL in the header": (head(lambda h: h + "\0"), "not a table of text"),
    # line ends
    "CRLF": (lambda x: joined(x, "\r\n"), RIGHT),
    "CR alone": (lambda x: joined(x, "\r"), RIGHT),
    "no last newline": (lambda x: joined(x)[:-1], RIGHT),
    "CRLF without the last": (lambda x: joined(x, "\r\n")[:-2], RIGHT),
    "blank lines at the end": (lambda x: joined(x) + b"\n\n", RIGHT),
    "a blank line inside": (lambda x: joined([*x[:9], "", *x[9:]]), RIGHT),
    "a blank first line": (lambda x: b"\n" + joined(x), "not a table of text"),
    "spaces for a row": (lambda x: joined([*x, "   "]), r"log\.csv"),
    "commas for a row": (lambda x: joined([*x, ",,,,,"]), r"'.', row 60: no"),
    "an end-of-file mark": (lambda x: joined(x) + b"\x1a", r"log\.csv"),
    # quotes
    "all quoted": (every(quoted), RIGHT),
    "the header quoted": (head(quoted), RIGHT),
    "one cell quoted": (row(3, lambda line: line.replace(",b,", ',"b",')), RIGHT),
    "an open quote": (cell(4, '"b'), r"log\.csv"),
    "an open quote in the header": (head(lambda h: '"' + h), r"log\.csv"),
    # headers
    "blanks around names": (head(lambda h: h.replace(",", " , ")), RIGHT),
    "an unnamed index": (
        lambda x: joined(["," + x[0], *(f"{k},{line}" for k, line in enumerate(x[1:]))]),
        RIGHT,
    ),
    "a column more": (
        lambda x: joined([x[0] + ",extra", *(line + ",é" for line in x[1:])]),
        RIGHT,
    ),
    "names in capitals": (head(str.upper), "'u' is missing"),
    "a header of another alphabet": (head(lambda h: h.replace("u", "υ")), "'u' is missing"),
    "two columns of a name": (
        lambda x: joined([x[0] + ",d", *(line + ",z" for line in x[1:])]),
        "'d' appears twice",
    ),
    "no header": (lambda x: joined(x[1:]), "is missing|appears twice"),
    "a header twice": (lambda x: joined([*x[:30], x[0], *x[30:]]), r"log\.csv"),
    "a comment first": (lambda x: b"# made by a tool\n" + joined(x), "'u' is missing"),
    "sep= first": (lambda x: b"sep=,\n" + joined(x), r"missing|appears"),
    "a comma at the header's end": (head(lambda h: h + ","), r"log\.csv"),
    "commas at the end of every line": (every(lambda line: line + ","), RIGHT),
    "a header cell of 200,000": (head(lambda h: f"{h},{LONG}"), r"log\.csv"),
    "a header of 2,000 names": (
        lambda x: joined(
            [
                x[0] + "," + ",".join(f"c{k}" for k in range(2000)),
                *(line + "," * 2000 for line in x[1:]),
            ]
        ),
        RIGHT,
    ),
    # separators
    "semicolons": (every(lambda line: line.replace(",", ";")), "'u' is missing"),
    "tabs": (every(lambda line: line.replace(",", "\t")), "'u' is missing"),
    "pipes": (every(lambda line: line.replace(",", "|")), "'u' is missing"),
    "a short row": (row(5, lambda line: line.rsplit(",", 1)[0]), r"log\.csv"),
    "a long row": (row(5, lambda line: line + ",7"), r"log\.csv"),
    "a decimal comma": (cell(5, '"3,5"'), "'n', row 3.*3,5"),
    "a thousands comma": (cell(5, '"1,234.5"'), "'n', row 3.*1,234"),
    "a thousands blank": (cell(5, "1 234"), "'n', row 3.*1 234"),
    "a thousands underscore": (cell(5, "1_234"), "'n', row 3.*1_234"),
    "a percent sign": (cell(5, "5%"), "'n', row 3.*5%"),
    "a currency": (cell(5, "$5"), "'n', row 3"),
    "hexadecimal": (cell(5, "0x1F"), "'n', row 3"),
    "a minus of typesetters": (cell(5, "−5"), "'n', row 3"),
    "Arabic digits": (cell(5, "١٢"), "'n', row 3"),
    "an infinity": (cell(5, "inf"), "'n', row 3.*inf"),
    "Infinity in words": (cell(5, "-Infinity"), "'n', row 3"),
    "a spreadsheet's error": (cell(5, "#DIV/0!"), "'n', row 3"),
    "a database's null": (cell(5, "\\N"), "'n', row 3"),
    "a label of 2": (cell(2, "2"), "'y'.*row 3.*0 or 1"),
    "a label in words": (cell(2, "yes"), "'y'"),
    "no label": (cell(2, ""), "'y', row 3: no label"),
    "no user": (cell(0, ""), "'u', row 3: no value"),
    "no item": (cell(1, ""), "'i', row 3"),
    "an unknown item": (cell(1, "999"), "'i', row 3|'i'.*999"),
    "a time in words": (cell(3, "soon"), "'t', row 3.*soon"),
    "a date among numbers": (cell(3, "2020-01-01"), "'t'.*2020-01-01|'t'.*dates"),
    "no time": (cell(3, ""), "'t', row 3"),
    "a thirteenth month": (cell(3, "2020-13-01"), "'t'"),
    # what is no csv
    "gzip": (lambda x: gzip.compress(joined(x)), "gzip"),
    "bzip2": (lambda x: bz2.compress(joined(x)), "bzip2"),
    "xz": (lambda x: lzma.compress(joined(x)), r"log\.csv"),
    "zip": (zipped, "zip"),
    "a web page": (
        lambda x: b"<!DOCTYPE html>\n<html><body>Not found</body></html>\n",
        "'u' is missing",
    ),
    "a pointer to large files": (
        lambda x: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
        "'u' is missing",
    ),
    "json lines": (lambda x: b'{"u": 1, "i": 100, "y": 0}\n' * 5, r"log\.csv"),
    "noise": (lambda x: bytes(range(256)) * 4, r"log\.csv"),
    "nothing": (lambda x: b"", "empty"),
    "a newline": (lambda x: b"\n", "not a table of text"),
    "a header alone": (lambda x: joined(x[:1]), "no rows"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_log_is_read_right_or_refused_in_a_sentence(name: str, sample) -> None:
    change, pattern = TEXTS[name]
    sample.write(change(sample.lines()))
    sentence = sample.sentence()
    assert (sentence is None) == (pattern == RIGHT), sentence
    if sentence is not None:
        assert re.search(pattern, sentence), sentence


# column, value in the file at row 3, value that the store must tell
VALUES = {
    "an empty number": ("n", "", None),
    "NA": ("n", "NA", None),
    "nan": ("n", "nan", None),
    "null": ("n", "null", None),
    "scientific": ("n", "1e1", 10.0),
    "a plus sign": ("n", "+5", 5.0),
    "a bare point": ("n", ".5", 0.5),
    "blanks around a number": ("n", " 5 ", 5.0),
    "seventeen digits": ("n", "2.0000000000000001", 2.0),
    "an empty category": ("d", "", None),
    "a category with a comma": ("d", '"a, b"', "a, b"),
    "a category with a quote": ("d", '"say ""no"""', 'say "no"'),
    "a category of two lines": ("d", '"two\nlines"', "two\nlines"),
    "a category of two Windows lines": ("d", '"two\r\nlines"', "two\r\nlines"),
    "an emoji": ("d", "👍🏽", "👍🏽"),
    "a composed é": ("d", "e\u0301", "e\u0301"),
    "a zero-width space": ("d", "a\u200b", "a\u200b"),
    "a category that looks like a number": ("d", "007", "007"),
    "a category that looks like a date": ("d", "1-2", "1-2"),
    "a long category": ("d", "z" * 5000, "z" * 5000),
    "a user with a zero before": ("u", "007", "007"),
    "a user of thirty digits": ("u", "1" * 30, "1" * 30),
    "a user in capitals": ("u", "U1", "U1"),
    "a user in Chinese": ("u", "用户", "用户"),
    "a user with a comma": ("u", '"u,1"', "u,1"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_what_the_file_says(name: str, sample) -> None:
    column, written, value = VALUES[name]
    sample.rows[3][column] = "@"
    text = "\n".join(sample.lines()) + "\n"
    sample.rows[3][column] = value
    sample.write(text.replace("@", written).encode())
    assert sample.sentence() is None


def test_other_separators_are_read_when_the_spec_names_them(sample) -> None:
    for separator in (";", "\t", "|"):
        sample.write("\n".join(sample.lines(separator)).encode())
        sample.spec = sample.spec.replace("path: log.csv}", "path: log.csv, separator: SEP}")
        spec, quoted_sign = sample.spec, {"\t": '"\\t"'}.get(separator, f'"{separator}"')
        sample.spec = spec.replace("SEP", quoted_sign)
        assert sample.sentence() is None
        sample.spec = spec.replace(", separator: SEP", "")
