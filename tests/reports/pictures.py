"""Make the pictures of docs/report/ from a study:
`python tests/reports/pictures.py STUDY --store OUT`.

Needs chromium, pdftoppm, weasyprint and Pillow. Page one in English, in Japanese, dark and as on a
phone of 360 pixels; the reviewer's half; every page of the PDF. Look at each before committing it.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

HERE = Path(__file__).resolve().parents[2] / "docs" / "report"
PHONE, WIDE, TALL = 360, 1100, 14_000
MOST_BYTES = 300_000
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
PAGE_ONE = "<style>.review{display:none}</style>"
REVIEW = "<style>header,main>section,.two,main>.note{display:none}.review{margin-top:0}</style>"
DARK = ("@media (prefers-color-scheme:dark)", "@media screen")


def main() -> None:
    """Reports of the study in both languages, then their pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    parser.add_argument("--store", default="out", help="folder of runs and studies")
    parser.add_argument("--to", type=Path, default=HERE, help="folder of the pictures")
    parser.add_argument(
        "--name", default="", help="first part of the files' names [default: study]"
    )
    options = parser.parse_args()
    name = options.name or options.study
    options.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        page = work / "page"
        for language in ("en", "ja"):
            command = ["report", options.study, "--store", options.store, "--out", page]
            pdf = ["--pdf"] if language == "en" else []
            run(Path(sys.executable).with_name("fusefront"), *command, "--lang", language, *pdf)
        english, japanese = ((folder / "index.html").read_text() for folder in (page, page / "ja"))
        pages = {
            "page-one": (english + PAGE_ONE, WIDE),
            "page-one-ja": (japanese + PAGE_ONE, WIDE),
            "page-one-dark": (english.replace(*DARK) + PAGE_ONE, WIDE),
            "phone": (english + PAGE_ONE, PHONE),
            "reviewer": (english + REVIEW, WIDE),
        }
        for key, (text, width) in pages.items():
            photograph(text, width, work, options.to / f"{name}-{key}.png")
        run("pdftoppm", "-r", "100", "-png", page / "report.pdf", work / "pdf")
        for number, path in enumerate(sorted(work.glob("pdf-*.png")), 1):
            save(Image.open(path), options.to / f"{name}-pdf-{number}.png")
        shutil.copy(page / "figures" / "frontier-wide.png", options.to / f"{name}-frontier.png")


def run(*command: object) -> None:
    """A command that must succeed."""
    subprocess.run([str(part) for part in command], check=True, stderr=subprocess.DEVNULL)


def photograph(text: str, width: int, work: Path, to: Path) -> None:
    """A page at a width, cut below its last line; headless windows are at least 500 pixels wide."""
    source, frame, shot = work / "page.html", work / "frame.html", work / "shot.png"
    source.write_text(text, encoding="utf-8")
    frame.write_text(
        f'<body style="margin:0"><iframe src="{source.as_uri()}" style="border:0;width:{width}px;'
        f'height:{TALL}px"></iframe>'
    )
    profile = f"--user-data-dir={work / 'profile'}"
    size = f"--window-size={max(width, 500)},{TALL}"
    run("chromium", *QUIET, profile, size, f"--screenshot={shot}", frame.as_uri())
    save(trimmed(Image.open(shot).convert("RGB").crop((0, 0, width, TALL))), to)


def trimmed(image: Image.Image) -> Image.Image:
    """Without the empty ground below the last line."""
    ground = Image.new("RGB", image.size, image.getpixel((2, image.height - 2)))
    box = ImageChops.difference(image, ground).getbbox()
    return image.crop((0, 0, image.width, min(image.height, box[3] + 24))) if box else image


def save(image: Image.Image, to: Path) -> None:
    """PNG; fewer colours only where it would be too big for a repository."""
    image.save(to, optimize=True)
    for colours in (256, 128, 64):
        if to.stat().st_size <= MOST_BYTES:
            break
        few = image.convert("RGB").quantize(
            colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
        few.save(to, optimize=True)
    sys.stdout.write(f"{to.name}: {image.width} x {image.height}, {to.stat().st_size // 1000} kB\n")


if __name__ == "__main__":
    main()
