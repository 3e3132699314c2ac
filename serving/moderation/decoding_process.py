"""Decoding in a process of its own: what a hostile file does there, it does to nobody else.

    python -m serving.moderation.decoding_process LIMITS

answers on its standard output what arrives on its standard input; `DecodingProcess` starts it,
kills it when it takes too long, and starts the next one.
"""

import json
import resource
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from serving.moderation.decoding import DEFAULT_LIMITS, Limits, Picture, check_size, decode
from serving.moderation.picture_formats import MediaError

_MODULE = "serving.moderation.decoding_process"
_ROOT = Path(__file__).parents[2]
_LENGTH = struct.Struct(">Q")
_START_S = 30.0  # for the interpreter to start


class DecodingProcess:
    """Decodes one picture after another; used by one thread at a time, others wait."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, content: bytes) -> Picture:
        """Decode a picture elsewhere.

        Raises:
            MediaError: as `serving.moderation.decoding.decode`; `decoding_timed_out`; or
                `decoder_failed` where the process died of the file.
        """
        check_size(content, self.limits)
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                self._stop()  # it died between two pictures
            process = self._process = self._process or self._start()
            try:
                with _deadline(process, self.limits.allowed_s(content)):
                    return _asked(process, content)
            except (OSError, EOFError) as error:
                self._stop()
                raise _death(process, self.limits.allowed_s(content)) from error

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", _MODULE, json.dumps(asdict(self.limits))]
        environment = {"PYTHONPATH": str(_ROOT), "OPENBLAS_NUM_THREADS": "1"}
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            with _deadline(process, _START_S):
                _received(_pipes(process)[1])  # its greeting: from here on time is the picture's
        except EOFError as error:
            process.kill()
            process.communicate()
            raise MediaError("decoder_failed", "the decoder does not start") from error
        return process

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def main() -> None:
    """Answer until the input ends."""
    limits = Limits(**json.loads(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    _send(outgoing, b"ready")
    while True:
        try:
            content = _received(incoming)
        except EOFError:
            return
        header, frames = _answer(content, limits)
        for message in (json.dumps(header).encode(), *frames):
            _send(outgoing, message)


def _answer(content: bytes, limits: Limits) -> tuple[dict[str, Any], list[bytes]]:
    try:
        picture = decode(content, limits)
    except MediaError as error:
        return {"code": error.code, "message": str(error)}, []
    except MemoryError:
        return {
            "code": "picture_too_large",
            "message": f"needs more than {limits.memory_bytes} bytes of memory to decode",
        }, []
    facts = {name: value for name, value in vars(picture).items() if name != "frames"}
    shapes = [frame.shape for frame in picture.frames]
    return {"picture": facts, "shapes": shapes}, [frame.tobytes() for frame in picture.frames]


def _asked(process: subprocess.Popen[bytes], content: bytes) -> Picture:
    outgoing, incoming = _pipes(process)
    _send(outgoing, content)
    header = json.loads(_received(incoming))
    if "code" in header:
        raise MediaError(header["code"], header["message"])
    frames = tuple(
        np.frombuffer(_received(incoming), np.uint8).reshape(shape) for shape in header["shapes"]
    )
    facts = header["picture"]
    return Picture(**facts | {"times_s": tuple(facts["times_s"])}, frames=frames)


def _death(process: subprocess.Popen[bytes], allowed_s: float) -> MediaError:
    if process.returncode == -9:
        return MediaError("decoding_timed_out", f"takes longer than {allowed_s} s to decode")
    return MediaError("decoder_failed", "the decoder died of this picture")


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Into the process and out of it."""
    if process.stdin is None or process.stdout is None:
        raise EOFError("the decoder has no pipes")
    return process.stdin, process.stdout


@contextmanager
def _deadline(process: subprocess.Popen[bytes], time_s: float) -> Iterator[None]:
    """Kill the process if the block takes longer."""
    timer = threading.Timer(time_s, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _send(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(_LENGTH.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def _received(pipe: IO[bytes]) -> bytes:
    """Return one message.

    Raises:
        EOFError: the other side is gone.
    """
    [length] = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    content = pipe.read(count)
    if len(content) < count:
        raise EOFError(f"{count} bytes were announced, {len(content)} came")
    return content


if __name__ == "__main__":
    main()
