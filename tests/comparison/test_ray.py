"""Execution on Ray: `make test-ray` runs these tests in an environment with Ray."""

import os
import signal
import socket
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest

from mtlkit.comparison.execute.executor_config import ExecutorConfig, parse_executor_config
from mtlkit.comparison.execute.ray_executor import RayTasks
from mtlkit.comparison.execute.worker import Job
from mtlkit.comparison.results.record import read_results
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.comparison.spec.resources import Resources
from mtlkit.errors import RunError
from mtlkit.recipe import Train

CRASHES = """
problems: {plane: recipe.yaml}
weightings: [{name: faulty, weighting: {type: explosive, by: SIGSEGV}}]
seeds: 1
without: {log: for speed, tuned: for speed, rlw: for speed, single-task: for speed}
"""


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two machines with a core each, as processes of this one, on its loopback."""
    with pytest.MonkeyPatch.context() as patch:
        # read when Ray is imported: loopback only
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # other processes may fill the memory of this machine, for which Ray would end workers
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where the workers find `tiny`
        cluster_utils = pytest.importorskip(
            "ray.cluster_utils", reason="Ray is not installed; `make test-ray` installs it"
        )
        machines = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        yield machines
        machines.shutdown()


def test_a_study_that_loses_workers_machines_and_its_driver_ends_with_the_same_table(
    bench, cluster, observed
):
    machine = cluster.add_node(num_cpus=1)
    gate = bench.folder / "gate"
    comparison = bench.load(observed.LONG.replace("GATE", str(gate)))
    gate.touch()
    whole = bench.run(comparison, "whole", executor=bench.worker(1))
    gate.unlink()  # now every run waits after its second checkpoint
    study = StudyFolder(bench.folder / "study")

    def working(count):
        return lambda: len(observed.workers_in_training(study)) >= count

    driver = bench.begin(0, cluster.address)
    observed.wait_until(working(2))
    cluster.remove_node(machine, allow_graceful=False)
    observed.wait_until(lambda: study.count_losses().total() == 1)
    observed.wait_until(working(1))
    os.kill(observed.workers_in_training(study)[0], signal.SIGKILL)
    observed.wait_until(lambda: study.count_losses().total() == 2)
    observed.wait_until(working(1))
    driver.kill()
    driver.communicate()
    gate.touch()
    cluster.add_node(num_cpus=1)
    config = parse_executor_config(None, "", ray=True, address=cluster.address)
    bench.run(comparison, executor_config=config)
    assert observed.tables(study) == observed.tables(whole)
    lost = study.count_losses()
    assert lost.total() == 2
    retries = {record.key: record.retries for record in read_results(study.results)}
    assert retries == {key: lost[key] for key in retries}


def test_a_crash_of_its_own_code_is_a_failure_of_the_method_on_ray_too(bench, cluster):
    config = parse_executor_config(None, "", ray=True, address=cluster.address)
    folder = bench.run(bench.load(CRASHES), executor_config=config)
    failed = {record.method: record.error for record in folder.records().values()}
    assert failed["equal"] is None
    assert failed["faulty"] == "the worker crashed: Fatal Python error: Segmentation fault"
    assert not folder.losses.exists()


class FakeRay:
    """The calls of `RayTasks`, with machines of stated resources; it executes nothing."""

    def __init__(self, *machines):
        self.machines, self.requests = machines, []

    def is_initialized(self):
        return True

    def nodes(self):
        return [{"Alive": True, "Resources": machine} for machine in self.machines]

    def remote(self, **_options):
        def options(**request):
            self.requests.append(request)
            return SimpleNamespace(remote=lambda job: f"task {len(self.requests)}")

        return lambda _function: SimpleNamespace(options=options)


def requested(monkeypatch, train, machines, config):
    """Return the resources of a run with the options `train`, and the number of runs at once."""
    ray = FakeRay(*machines)
    monkeypatch.setattr("mtlkit.comparison.execute.ray_executor.require_ray", lambda: ray)
    executor = RayTasks(attrs.evolve(config, cluster=True))
    recipe = SimpleNamespace(train=train)
    executor.submit("run", Job(recipe=recipe, path=None, catalog=None, loading=None))
    return ray.requests[0], executor.slots


GPU_NODE = {"CPU": 16.0, "GPU": 4.0, "memory": 64 * 2.0**30}
CPU_NODE = {"CPU": 8.0, "memory": 32 * 2.0**30}


@pytest.mark.parametrize(
    ("train", "machines", "resources", "request_", "slots"),
    [
        (Train(device="auto"), [CPU_NODE], {}, (1, 0, None), 8),
        (Train(device="auto"), [CPU_NODE, GPU_NODE], {}, (1, 1, None), 4),
        (Train(device="cuda"), [GPU_NODE], {}, (1, 1, None), 4),
        (Train(device="cpu", threads=2), [GPU_NODE], {}, (2, 0, None), 8),
        (Train(device="auto"), [GPU_NODE], {"gpus": 0.5}, (1, 0.5, None), 8),
        (
            Train(device="auto"),
            [CPU_NODE, GPU_NODE],
            {"cpus": 2, "memory": "4 GiB"},
            (2, 1, 4 * 2**30),
            4,
        ),
    ],
)
def test_runs_request_gpus_cores_and_memory(
    monkeypatch, train, machines, resources, request_, slots
):
    config = ExecutorConfig(resources=Resources(**resources))
    request, at_once = requested(monkeypatch, train, machines, config)
    assert (request["num_cpus"], request["num_gpus"], request["memory"]) == request_
    assert at_once == slots


@pytest.mark.parametrize(
    ("train", "machines", "resources", "message"),
    [
        (
            Train(device="cuda"),
            [CPU_NODE],
            {},
            "resources: got 1 cpus, 1 gpus and 0 GiB for a run, wh",
        ),
        (Train(device="cuda:1"), [GPU_NODE], {}, "got 'cuda:1' with Ray, which assigns GPUs; use"),
        (Train(), [CPU_NODE], {"cpus": 9}, "got 9 cpus, 0 gpus and 0 GiB for a run, which no mach"),
        (
            Train(),
            [CPU_NODE],
            {"memory": "33 GiB"},
            "got 1 cpus, 0 gpus and 33 GiB for a run, which no",
        ),
    ],
)
def test_a_run_that_fits_on_no_machine_is_refused(monkeypatch, train, machines, resources, message):
    with pytest.raises(RunError, match=message):
        requested(monkeypatch, train, machines, ExecutorConfig(resources=Resources(**resources)))


def test_an_address_without_a_cluster_is_refused_at_once(monkeypatch):
    ray = SimpleNamespace(is_initialized=lambda: False)
    monkeypatch.setattr("mtlkit.comparison.execute.ray_executor.require_ray", lambda: ray)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    config = parse_executor_config(2, "", ray=True, address=f"127.0.0.1:{port}")
    with pytest.raises(RunError, match=rf"^--ray: no Ray cluster answers at 127.0.0.1:{port} \("):
        config.executor()


def test_a_device_by_number_is_refused_with_ray():
    with pytest.raises(RunError, match="--devices: got cuda:1 with Ray, which assigns GPUs itself"):
        parse_executor_config(2, "cuda:1", ray=True)
