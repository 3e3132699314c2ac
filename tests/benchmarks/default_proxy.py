"""The same app behind Ray Serve as it comes: the Python proxy and every setting its default.

``python -m tests.benchmarks.default_proxy --bundles BUNDLES --port PORT`` is what `feed_http`
compares with.
"""

import argparse
import os
import signal
from pathlib import Path

import ray
from ray import serve

from serving.__main__ import prepare_records, running_state, with_options
from serving.app import Duties, read_settings
from serving.host_ray import Replica, stop


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.default_proxy", description=__doc__)
    parser.add_argument("--bundles", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.set_defaults(demo=False)
    options = parser.parse_args()
    settings = with_options(read_settings(Path("configs/serving.yaml")), options)
    prepare_records(settings.serving, demo=False)
    with running_state(settings) as ready:
        try:
            ray.init(address="local", num_cpus=os.cpu_count(), include_dashboard=False)
            serve.start(http_options={"port": options.port})
            serve.run(serve.deployment(Replica).bind(ready, 0, Duties()), route_prefix="/")
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            print("serving on the default proxy", flush=True)
            signal.pause()
        except KeyboardInterrupt:
            pass
        finally:
            stop()


if __name__ == "__main__":
    main()
