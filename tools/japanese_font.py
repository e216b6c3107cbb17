"""reports/fonts/NotoSansJP-*.subset.otf, made from the whole font:
`python -m japanese_font FOLDER`.

FOLDER holds NotoSansCJK-Regular.ttc and NotoSansCJK-Bold.ttc 2.004, as in Debian's package
fonts-noto-cjk (20220127). Kept are the characters of JIS X 0208 (kana, 6,355 kanji, signs), without
hints and without vertical setting. Equal sources give equal bytes.
"""

import sys
from pathlib import Path

from fontTools import subset

FONTS = Path(__file__).parents[1] / "reports" / "fonts"
FAMILY = "Noto Sans JP Subset"  # its own name: a whole Noto on the machine is another font
WEIGHTS = ("Regular", "Bold")
JAPANESE = 0  # the place of the Japanese face in the collection
ROWS = range(0xA1, 0xF5)
CELLS = range(0xA1, 0xFF)


def jis_x_0208() -> set[int]:
    """Code points of the 6,879 characters of JIS X 0208."""
    points = set()
    for row in ROWS:
        for cell in CELLS:
            try:
                points.add(ord(bytes((row, cell)).decode("euc_jp")))
            except UnicodeDecodeError:  # an empty cell
                continue
    return points


def make(source: Path, weight: str, target: Path) -> None:
    """Write the subset of one weight."""
    options = subset.Options()
    options.font_number = JAPANESE
    options.hinting = False
    options.layout_features = ["halt"]  # browsers close up punctuation by it
    options.drop_tables += ["BASE", "GSUB", "VORG", "vhea", "vmtx"]
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 7, 13, 14]
    options.name_languages = [0x409]
    options.notdef_outline = True
    options.recalc_timestamp = False
    font = subset.load_font(str(source), options)
    names = font["name"]
    for number, text in ((1, FAMILY), (4, f"{FAMILY} {weight}"), (6, f"NotoSansJPSubset-{weight}")):
        names.setName(text, number, 3, 1, 0x409)
    for number in (16, 17):
        names.removeNames(number)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=jis_x_0208())
    subsetter.subset(font)
    font["CFF "].cff.fontNames = [f"NotoSansJPSubset-{weight}"]
    font.save(target)


if __name__ == "__main__":
    for each in WEIGHTS:
        source = Path(sys.argv[1]) / f"NotoSansCJK-{each}.ttc"
        make(source, each, FONTS / f"NotoSansJP-{each}.subset.otf")
