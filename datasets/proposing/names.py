"""Names of modalities: ASCII, short, and never one name for two."""

import re
import unicodedata

LONGEST = 48
_KIND = re.compile(
    r"(^|[_.-])(vecs?|vectors?|embs?|embeds?|embeddings?|feats?|features?|matrix|array|npy)"
    r"(?=$|[_.-])",
    re.IGNORECASE,
)


def base(stem: str) -> str:
    """A stem without words such as vec or emb: what it has in common with its file of keys.

    >>> base("image_vec"), base("clip-embeddings"), base("vec")
    ('image', 'clip', 'vec')
    """
    bare = _KIND.sub("", stem).strip("_.-").lower()
    return bare or stem.lower()


class Names:
    """Gives each modality a name that is not taken yet, whatever the case of its letters."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def of(self, stem: str) -> str:
        """The first word of a name, else all of it, else with a number.

        >>> names = Names()
        >>> [names.of(stem) for stem in ("text_emb", "text_plot", "画像", "音声")]
        ['text', 'text_plot', 'modality_1', 'modality_2']
        """
        text = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
        whole = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:LONGEST]
        short = whole.split("_")[0]
        for name in (short, whole):
            if name and name.lower() not in self.used:
                return self._take(name)
        number = 1 if not whole else 2
        start = (whole or "modality")[: LONGEST - 4]
        while f"{start}_{number}".lower() in self.used:
            number += 1
        return self._take(f"{start}_{number}")

    def _take(self, name: str) -> str:
        self.used.add(name.lower())
        return name
