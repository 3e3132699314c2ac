"""Bundles: written whole or not at all, verified when opened, switched by one pointer."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from models.bundle import (
    Bundle,
    BundleError,
    DataFacts,
    Manifest,
    Tensor,
    check_signature,
    current,
    load_array,
    load_session,
    open_bundle,
    publish,
    read_manifest,
    seal,
    staged,
)

FILES = {"a.bin": b"first file", "b.bin": bytes(3000)}


def draft(**changes: Any) -> Manifest:
    facts: dict[str, Any] = {
        "parent": None,
        "code_revision": "test",
        "seed": 7,
        "data": DataFacts(
            dataset="d", protocol="p", users=1, items=2, events=3, window=(4, 5), fingerprint="f"
        ),
        "kind": "feed",
        "created_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "dimensions": {"items": 2},
        "metric": "inner_product",
        "index": None,
    }
    return Manifest.model_validate(facts | changes)


def write(target: Path, files: dict[str, bytes] | None = None) -> Manifest:
    with staged(target) as folder:
        for name, content in (files or FILES).items():
            (folder / name).write_bytes(content)
        return seal(folder, draft())


def test_what_is_written_is_what_is_opened(tmp_path: Path) -> None:
    written = write(tmp_path / "bundle")
    opened = open_bundle(tmp_path / "bundle", "feed")
    assert opened.manifest == written
    assert opened.manifest.version.startswith("20260102-")
    assert {name: facts.bytes for name, facts in written.files.items()} == {
        "a.bin": 10,
        "b.bin": 3000,
    }


def test_the_version_follows_the_contents(tmp_path: Path) -> None:
    first, same = write(tmp_path / "1"), write(tmp_path / "2")
    other = write(tmp_path / "3", FILES | {"a.bin": b"another file"})
    assert first.version == same.version != other.version


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_refused_naming_the_file(tmp_path: Path, name: str) -> None:
    write(tmp_path / "bundle")
    content = bytearray((tmp_path / "bundle" / name).read_bytes())
    content[4] ^= 1
    (tmp_path / "bundle" / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name}: its sha256 .* differs from the manifest's"):
        open_bundle(tmp_path / "bundle", "feed")


@pytest.mark.parametrize("size", [0, 9, 11])
def test_another_size_is_refused_naming_both(tmp_path: Path, size: int) -> None:
    write(tmp_path / "bundle")
    (tmp_path / "bundle" / "a.bin").write_bytes(bytes(size))
    with pytest.raises(BundleError, match=rf"a\.bin: has {size} bytes, the manifest says 10"):
        open_bundle(tmp_path / "bundle", "feed")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write(tmp_path / "bundle")
    (tmp_path / "bundle" / "b.bin").unlink()
    with pytest.raises(BundleError, match=r"\['b\.bin'\] of the manifest are missing"):
        open_bundle(tmp_path / "bundle", "feed")


def test_an_unknown_file_is_named(tmp_path: Path) -> None:
    write(tmp_path / "bundle")
    (tmp_path / "bundle" / "c.bin").touch()
    with pytest.raises(BundleError, match=r"\['c\.bin'\] do not stand in the manifest"):
        open_bundle(tmp_path / "bundle", "feed")


def test_another_kind_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "bundle")
    with pytest.raises(BundleError, match="kind is 'feed', expected 'moderation'"):
        open_bundle(tmp_path / "bundle", "moderation")


def test_a_folder_without_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json: cannot be read: No such file"):
        open_bundle(tmp_path, "feed")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", 2),
        ("kind", "other"),
        ("version", "../up"),
        ("seed", "seven"),
        ("created_at", "2026-01-02T03:04:05"),
        ("dimensions", {"items": "many"}),
        ("metric", "cosine"),
        ("files", {"a.bin": {"sha256": "zz", "bytes": 1}}),
        ("surprise", 1),
    ],
)
def test_a_wrong_manifest_is_refused_naming_the_field(
    tmp_path: Path, field: str, value: object
) -> None:
    write(tmp_path / "bundle")
    path = tmp_path / "bundle" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(BundleError, match=rf"manifest\.json: .*{field}"):
        open_bundle(tmp_path / "bundle", "feed")


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_manifest_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path / "bundle")
    (tmp_path / "bundle" / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"manifest\.json: "):
        read_manifest(tmp_path / "bundle")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), staged(tmp_path / "bundle") as folder:
        (folder / "a.bin").write_bytes((tmp_path / "no such file").read_bytes())
    assert list(tmp_path.iterdir()) == []


def test_an_unsealed_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="was not sealed"), staged(tmp_path / "bundle"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_never_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "bundle")
    with pytest.raises(BundleError, match="exists; bundles are immutable"):
        write(tmp_path / "bundle")


def test_publishing_makes_current(tmp_path: Path) -> None:
    first = write(tmp_path / "1")
    second = write(tmp_path / "2", {"a.bin": b"newer"})
    root = tmp_path / "bundles"
    for name, manifest in (("1", first), ("2", second), ("1", first)):
        folder = publish(tmp_path / name, root, "feed")
        assert folder == root / "feed" / manifest.version == current(root, "feed")
        assert open_bundle(folder, "feed").manifest == manifest
    assert sorted(path.name for path in (root / "feed").iterdir()) == sorted(
        [first.version, second.version, "CURRENT"]
    )


def test_a_published_version_never_changes(tmp_path: Path) -> None:
    version = write(tmp_path / "1").version
    publish(tmp_path / "1", tmp_path / "bundles", "feed")
    write(tmp_path / "2", {"a.bin": b"other content"})
    path = tmp_path / "2" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": version}))
    with pytest.raises(BundleError, match=f"{version}: exists with other files"):
        publish(tmp_path / "2", tmp_path / "bundles", "feed")


def test_a_damaged_bundle_is_not_published(tmp_path: Path) -> None:
    write(tmp_path / "1")
    publish(tmp_path / "1", tmp_path / "bundles", "feed")
    before = current(tmp_path / "bundles", "feed")
    write(tmp_path / "2", {"a.bin": b"newer"})
    (tmp_path / "2" / "a.bin").write_bytes(b"worse")
    with pytest.raises(BundleError, match=r"a\.bin"):
        publish(tmp_path / "2", tmp_path / "bundles", "feed")
    assert current(tmp_path / "bundles", "feed") == before


def test_nothing_published_is_said(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no feed bundle is published"):
        current(tmp_path, "feed")


@pytest.mark.parametrize("pointer", ["", ".", "gone", "../elsewhere", "/tmp"])  # noqa: S108
def test_a_pointer_to_no_bundle_is_refused(tmp_path: Path, pointer: str) -> None:
    write(tmp_path / "elsewhere")
    (tmp_path / "feed").mkdir()
    (tmp_path / "feed" / "CURRENT").write_text(pointer)
    with pytest.raises(BundleError, match="which is no bundle beside it"):
        current(tmp_path, "feed")


@pytest.mark.parametrize(
    ("shape", "dtype"), [((3, 2), "float32"), ((2, 3), "float64"), ((6,), "float32")]
)
def test_an_array_of_another_shape_or_type_is_named(
    tmp_path: Path, shape: tuple[int, ...], dtype: str
) -> None:
    np.save(tmp_path / "v.npy", np.zeros((2, 3), np.float32))
    bundle = Bundle(tmp_path, draft())
    assert load_array(bundle, "v.npy", (2, 3), "float32").shape == (2, 3)
    with pytest.raises(BundleError, match=r"v\.npy: is float32 \[2, 3\], the manifest says"):
        load_array(bundle, "v.npy", shape, dtype)


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_what_is_no_array_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.npy").write_bytes(content)
    with pytest.raises(BundleError, match=r"v\.npy: cannot be read as an array"):
        load_array(Bundle(tmp_path, draft()), "v.npy", (1,), "float32")


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_what_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"m\.onnx: cannot be opened by ONNX Runtime"):
        load_session(tmp_path / "m.onnx")


@pytest.fixture
def doubling(tmp_path: Path) -> Path:
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 4]) for name in ("x", "y")
    ]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])], "doubling", tensors[:1], tensors[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_a_model_runs_on_one_thread(doubling: Path) -> None:
    session = load_session(doubling)
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert session.run(["y"], {"x": np.ones((2, 4), np.float32)})[0].tolist() == [[2] * 4] * 2


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"z": Tensor("tensor(float)", ("B", 4))}, r"inputs are \['x'\], expected \['z'\]"),
        ({"x": Tensor("tensor(float)", ("B", 5))}, r"input x is .*4\], expected .*5\]"),
        ({"x": Tensor("tensor(float)", ("B", 4, 1))}, "input x is"),
        ({"x": Tensor("tensor(int64)", ("B", 4))}, r"input x is tensor\(float\)"),
    ],
)
def test_another_signature_is_named(
    doubling: Path, inputs: dict[str, Tensor], message: str
) -> None:
    outputs = {"y": Tensor("tensor(float)", ("B", 4))}
    check_signature(doubling, load_session(doubling), {"x": outputs["y"]}, outputs)
    with pytest.raises(BundleError, match=rf"m\.onnx: {message}"):
        check_signature(doubling, load_session(doubling), inputs, outputs)
