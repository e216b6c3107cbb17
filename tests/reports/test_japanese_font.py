"""Japanese is drawn, shown and printed by the font that ships, on a machine that has none."""

import base64
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from fontTools.pens.recordingPen import RecordingPen
from fontTools.ttLib import TTFont

from fusefront.reports import japanese_font
from fusefront.reports.evidence import Evidence
from fusefront.reports.figures import canvas
from fusefront.reports.japanese_font import FILES, font_faces
from fusefront.reports.render import render

FONTS = Path(japanese_font.__file__).parent / "fonts"
FACE = re.compile(
    r'@font-face\{font-family:"Noto Sans JP Subset";font-weight:(\d+);font-display:swap;'
    r"src:url\(data:font/woff;base64,([A-Za-z0-9+/=]+)\) format\('woff'\)\}"
)
# one of each: hiragana, katakana, long vowel, full-width stop, first and last kanji of both levels
SAMPLE = "あンー。亜腕弌熙"


def embedded(css: str) -> dict[int, TTFont]:
    return {
        int(weight): TTFont(BytesIO(base64.b64decode(data))) for weight, data in FACE.findall(css)
    }


def strokes(font: TTFont, character: str) -> list[object]:
    pen = RecordingPen()
    font.getGlyphSet()[font.getBestCmap()[ord(character)]].draw(pen)
    return list(pen.value)


def test_the_fonts_are_small_and_their_licence_lies_beside_them() -> None:
    assert sum(path.stat().st_size for path in FILES.values()) < 3_000_000
    licence = (FONTS / "OFL.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    for path in FILES.values():
        with TTFont(path) as font:
            names = font["name"]
            assert names.getDebugName(1) == japanese_font.FAMILY
            assert str(names.getDebugName(0)) in licence
            assert "SIL Open Font License, Version 1.1" in str(names.getDebugName(13))


def test_both_weights_draw_the_whole_of_jis_x_0208() -> None:
    kanji = {
        ord(bytes((row, cell)).decode("euc_jp", "replace")[0])
        for row in range(0xB0, 0xF5)
        for cell in range(0xA1, 0xFF)
    } - {0xFFFD}
    assert len(kanji) == 2965 + 3390  # the standard's first and second level
    for path in FILES.values():
        with TTFont(path) as font:
            assert kanji | set(map(ord, SAMPLE)) <= set(font.getBestCmap())


def test_a_page_carries_the_characters_it_shows_and_no_others() -> None:
    css = font_faces(f"plain Latin, {SAMPLE}, 한 🦊")
    fonts = embedded(css)
    assert list(fonts) == [400, 600]
    whole = {weight: TTFont(BytesIO(path.read_bytes())) for weight, path in FILES.items()}
    for weight, font in fonts.items():
        assert set(font.getBestCmap()) == set(map(ord, SAMPLE))
        for character in SAMPLE:  # the strokes of the font that ships
            assert strokes(font, character) == strokes(whole[weight], character) != []
    assert strokes(whole[400], "亜") != strokes(whole[600], "亜")
    assert font_faces(f"plain Latin, {SAMPLE}, 한 🦊") == css
    assert font_faces("plain Latin − 12 % 한 🦊") == ""


def test_an_english_page_carries_no_japanese_font_and_a_japanese_page_one(
    full_evidence: Evidence, tmp_path: Path
) -> None:
    english = render(full_evidence, tmp_path / "en").read_text(encoding="utf-8")
    assert FACE.search(english) is None
    japanese = render(full_evidence, tmp_path / "ja", language="ja").read_text(encoding="utf-8")
    shown = {ord(c) for c in FACE.sub("", japanese) if "ぁ" <= c <= "鿿"}
    assert len(shown) > 200
    for font in embedded(japanese).values():
        assert shown <= set(font.getBestCmap())
    assert len(japanese.encode()) - len(english.encode()) < 400_000
    stack = 'body{font-family:Inter,"Noto Sans JP Subset",'
    assert stack in japanese


def test_a_figure_draws_kanji_of_both_levels_with_our_font(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(canvas, "WIDER_FILES", ())
    with canvas.drawing():
        assert canvas.drawable(SAMPLE + "한") == SAMPLE + ":hangul syllable han:"


BARE = """
import sys
from pathlib import Path
from fusefront.reports.evidence import Evidence
from fusefront.reports.render import render
evidence = Evidence.load(Path(sys.argv[1]))
for language in ("en", "ja"):
    render(evidence, Path(sys.argv[2]) / language, language=language)
"""


def test_a_machine_without_fonts_draws_the_same_figures(
    full_evidence: Evidence, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    for language in ("en", "ja"):
        render(full_evidence, here / language, language=language)
    empty = tmp_path / "fonts.conf"
    empty.write_text("<?xml version='1.0'?><fontconfig></fontconfig>", encoding="utf-8")
    bare = {
        "PATH": str(tmp_path / "nothing"),  # no fc-list
        "HOME": str(tmp_path / "home"),
        "FONTCONFIG_FILE": str(empty),
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", BARE, str(here / "en" / "evidence.json"), str(tmp_path / "b")]
    process = subprocess.run(command, env=bare, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    pages = sorted(path.relative_to(here) for path in here.rglob("*.*") if path.is_file())
    assert any(path.suffix == ".svg" for path in pages)
    for path in pages:
        assert (tmp_path / "b" / path).read_bytes() == (here / path).read_bytes(), path
