"""Bundles: immutable model folders with checksums; the only way a model is loaded.

A bundle is written into a staging folder, sealed with a manifest and renamed into its place, so
that a folder with a manifest is whole. ``CURRENT`` beside the published versions names the one
that serves.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from pydantic import AwareDatetime, Field, ValidationError

from configs.schema import Section

MANIFEST = "manifest.json"
CURRENT = "CURRENT"


class BundleError(ValueError):
    """A bundle that cannot be used; the message names the file or what disagrees."""


class DataFacts(Section):
    """What a model was trained on; `window` is the first and last event's time in ms.

    `read_at` is when the data was read: users who were erased before are not in it.
    """

    dataset: str
    protocol: str
    users: int = Field(ge=0)
    items: int = Field(ge=0)
    events: int = Field(ge=0)
    window: tuple[int, int] | None
    fingerprint: str
    read_at: AwareDatetime | None = None


class IndexFacts(Section):
    """How the index was built and how it is to be searched."""

    kind: str
    parameters: dict[str, int | float] = Field(default_factory=dict)


class FileFacts(Section):
    """Checksum and size of one file."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Provenance(Section):
    """Where a model comes from; `parent` is the version it was trained on from, if any."""

    parent: str | None
    code_revision: str
    seed: int
    data: DataFacts


class Manifest(Provenance):
    """What a bundle is, where it comes from and which files it holds.

    A draft has no version and no files yet; `seal` fills them in.
    """

    format: Literal[1] = 1
    kind: Literal["feed", "moderation"]
    version: str = Field(default="draft", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    created_at: AwareDatetime
    dimensions: dict[str, int]
    metric: Literal["inner_product"] | None
    index: IndexFacts | None
    files: dict[str, FileFacts] = Field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A verified bundle folder."""

    folder: Path
    manifest: Manifest


@dataclass(frozen=True)
class Tensor:
    """Type and shape of a model's input or output; a dimension that varies is None or a name."""

    type: str
    shape: tuple[int | str | None, ...]

    def fits(self, expected: "Tensor") -> bool:
        """Whether types and numbers of dimensions agree, and all sizes that both name."""
        sizes = zip(self.shape, expected.shape, strict=False)
        return (self.type, len(self.shape)) == (expected.type, len(expected.shape)) and all(
            have == want for have, want in sizes if isinstance(have, int) and isinstance(want, int)
        )

    def __str__(self) -> str:
        return f"{self.type} {list(self.shape)}"


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield a folder to write and `seal`; it becomes `target` when the block ends well.

    Raises:
        BundleError: `target` exists, or the folder was not sealed.
    """
    if target.exists():
        raise BundleError(f"{target}: exists; bundles are immutable, choose another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    folder.chmod(0o755)
    try:
        yield folder
        if not (folder / MANIFEST).is_file():
            raise BundleError(f"{target}: was not sealed, so it has no {MANIFEST}")
        folder.rename(target)
        _sync(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def seal(folder: Path, draft: Manifest) -> Manifest:
    """Write the manifest of the files in `folder`, all of them flushed to disk.

    Args:
        folder: holds the finished files.
        draft: all but the files and the version, which becomes the day and a digest of the files.
    """
    paths = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
    files = {path.name: file_facts(path) for path in paths}
    for name in files:
        _sync(folder / name)
    digest = hashlib.sha256("".join(f.sha256 for f in files.values()).encode()).hexdigest()
    version = f"{draft.created_at:%Y%m%d}-{digest[:12]}"
    manifest = draft.model_copy(update={"version": version, "files": files})
    _write(folder / MANIFEST, manifest.model_dump_json(indent=2))
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of `folder`, its files unread.

    Raises:
        BundleError: it is missing, not JSON, or a field is missing, unknown or out of its limit.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise BundleError(f"{path}: {_faults(error)}") from error


def open_bundle(folder: Path, kind: str) -> Bundle:
    """Return the bundle in `folder` after reading every file and comparing its checksum.

    Raises:
        BundleError: another kind, or a file is missing, unknown, of another size or content.
    """
    manifest = read_manifest(folder)
    if manifest.kind != kind:
        raise BundleError(f"{folder / MANIFEST}: kind is {manifest.kind!r}, expected {kind!r}")
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    if missing := sorted(manifest.files.keys() - present):
        raise BundleError(f"{folder}: the files {missing} of the manifest are missing")
    if unknown := sorted(present - manifest.files.keys()):
        raise BundleError(f"{folder}: the files {unknown} do not stand in the manifest")
    for name, facts in manifest.files.items():
        _verify(folder / name, facts)
    return Bundle(folder, manifest)


def file_facts(path: Path) -> FileFacts:
    """Checksum and size of one file."""
    with path.open("rb") as file:
        return FileFacts(
            sha256=hashlib.file_digest(file, "sha256").hexdigest(), bytes=path.stat().st_size
        )


def load_array(bundle: Bundle, name: str, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Memory-map ``<name>`` and check its shape and type.

    Raises:
        BundleError: not an array file, or of another shape or type; names the file.
    """
    path = bundle.folder / name
    try:
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read as an array: {error}") from error
    if array.shape != shape or array.dtype != np.dtype(dtype):
        found = f"{array.dtype} {list(array.shape)}"
        raise BundleError(f"{path}: is {found}, the manifest says {dtype} {list(shape)}")
    return np.asarray(array)  # indexing the subclass costs more than what it reads


def load_session(path: Path) -> ort.InferenceSession:
    """Open an ONNX model for one thread without spinning: replicas are what runs in parallel.

    Raises:
        BundleError: not a model that ONNX Runtime can run; names the file.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own classes, none of them public
        raise BundleError(f"{path}: cannot be opened by ONNX Runtime: {error}") from error


def check_signature(
    path: Path,
    session: ort.InferenceSession,
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
) -> None:
    """Compare the inputs and outputs of a model with what is expected.

    Raises:
        BundleError: names the file, the input or output, and both types and shapes.
    """
    for role, expected, found in (
        ("input", inputs, session.get_inputs()),
        ("output", outputs, session.get_outputs()),
    ):
        tensors = {node.name: Tensor(node.type, tuple(node.shape)) for node in found}
        if tensors.keys() != expected.keys():
            raise BundleError(f"{path}: {role}s are {sorted(tensors)}, expected {sorted(expected)}")
        for name, tensor in expected.items():
            if not tensors[name].fits(tensor):
                raise BundleError(f"{path}: {role} {name} is {tensors[name]}, expected {tensor}")


def publish(source: Path, root: Path, kind: str) -> Path:
    """Copy a verified bundle to ``root/kind/<version>/`` and make it current, atomically.

    Publishing the same version with the same files again only makes it current.

    Raises:
        BundleError: the source is damaged, or the version exists with other files.
    """
    bundle = open_bundle(source, kind)
    target = root / kind / bundle.manifest.version
    if target.exists():
        if open_bundle(target, kind).manifest.files != bundle.manifest.files:
            raise BundleError(f"{target}: exists with other files; a version never changes")
    else:
        with staged(target) as folder:
            shutil.copytree(source, folder, dirs_exist_ok=True)
            for path in folder.iterdir():
                _sync(path)
            open_bundle(folder, kind)
    make_current(root, kind, target.name)
    return target


def current(root: Path, kind: str) -> Path:
    """Return the folder of the bundle that ``root/kind/CURRENT`` names.

    Raises:
        BundleError: nothing is published, or the pointer names no folder beside it.
    """
    pointer = root / kind / CURRENT
    try:
        version = pointer.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BundleError(f"{pointer}: no {kind} bundle is published under {root}") from error
    folder = pointer.parent / version
    if folder.parent != pointer.parent or not (folder / MANIFEST).is_file():
        raise BundleError(f"{pointer}: names {version!r}, which is no bundle beside it")
    return folder


def make_current(root: Path, kind: str, version: str) -> None:
    """Let ``root/kind/CURRENT`` name a published version, atomically."""
    parent = root / kind
    staging = parent / f".{CURRENT}-{os.getpid()}"
    _write(staging, version + "\n")
    os.replace(staging, parent / CURRENT)
    _sync(parent)


def published(root: Path, kind: str) -> list[Manifest]:
    """Return the manifests of all published bundles of a kind, newest first.

    Raises:
        BundleError: one of them cannot be read; names the file.
    """
    folders = [path.parent for path in (root / kind).glob(f"[!.]*/{MANIFEST}")]
    return sorted(map(read_manifest, folders), key=lambda one: one.created_at, reverse=True)


def _verify(path: Path, facts: FileFacts) -> None:
    found = file_facts(path)
    if found.bytes != facts.bytes:
        raise BundleError(f"{path}: has {found.bytes} bytes, the manifest says {facts.bytes}")
    if found.sha256 != facts.sha256:
        raise BundleError(f"{path}: its sha256 {found.sha256[:12]}… differs from the manifest's")


def _faults(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, fault['loc']))} = {json.dumps(fault['input'], default=str)[:80]}: "
        f"{fault['msg']}"
        for fault in error.errors()
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
