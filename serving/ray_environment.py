"""The environment that Ray reads when it is imported; to be set before."""

from configs.schema import RaySection

REPLICA_PORTS = 1_000


def ray_environment(section: RaySection) -> dict[str, str]:
    """Return the variables that make Ray Serve fast enough for a feed."""
    first = section.replica_first_port
    return {
        # The Python proxy answers about 200 requests a second: ray-project/ray#42565
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        # Else the proxy's actor parses one datagram of metrics for every request.
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(section.metrics_port),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(section.stats_port),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(first),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(first + REPLICA_PORTS),
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",  # else 30 s to stop
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "1",  # a third less CPU when idle
        "RAY_SERVE_REQUEST_LATENCY_BUCKETS_MS": "0.5,1,2,3,5,8,13,20,50,100,250",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # Ray's 15 lets any other process go before an answer
        "OMP_NUM_THREADS": "1",  # replicas are what runs in parallel
    }
