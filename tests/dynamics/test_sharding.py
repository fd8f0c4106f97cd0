"""Particles in shards: the network they are cut from, wherever they live and whoever is lost."""

import itertools
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import hmm_rs as hr
from hmm_rs.dynamics.sharding import host as hosts
from hmm_rs.dynamics.sharding.tree import cut, joined, summed
from hmm_rs.sweeps.local import LocalWorkers
from hmm_rs.testing import difference

D = 6


@pytest.fixture(autouse=True)
def little_patience(monkeypatch):
    """Nobody here comes late."""
    monkeypatch.setattr("hmm_rs.dynamics.sharding.crew._GRACE", 0.5)
    monkeypatch.setattr("hmm_rs.dynamics.sharding.crew._PLACE", 2.0)


def made(**options):
    """Return a small run with all that can be measured."""
    law = hr.GaussianMixture(D, mu=1.0)
    X, y = law.sample(40, seed=1)
    return hr.Particles(
        **{
            "network": hr.RandomNodes(23, D, seed=3),
            "X": X,
            "y": y,
            "data": law,
            "test_size": 30,
            "subtract_init": True,
            **options,
        }
    )


def fresh(**options):
    return made(**{"X": None, "y": None, "batch": 15, **options})


def result(run, **options):
    return run.run(8, dt=0.3, save_at=[0, 3, 8], **options)


def same(one, other):
    return not difference(one, other)


# -- sums ----------------------------------------------------------------------------------------------


def test_sums_have_one_order_whoever_holds_the_shards():
    rng = np.random.default_rng(0)
    for shards in range(1, 12):
        parts = {number: rng.normal(size=5) for number in range(shards)}
        whole = joined(summed(parts, shards), shards)
        for _ in range(10):
            owner = rng.integers(0, 3, size=shards)
            pieces = {}
            for who in range(3):
                pieces |= summed({k: v for k, v in parts.items() if owner[k] == who}, shards)
            assert joined(pieces, shards).tobytes() == whole.tobytes()
        # Another order: rounding of at most 11 terms of order one.
        assert np.abs(whole - sum(parts.values())).max() < 1e-14


def test_every_node_is_in_one_shard():
    for width, shards in [(7, 7), (10, 3), (1, 1), (10**8, 13)]:
        ends = cut(width, shards)
        assert ends[0][0] == 0
        assert ends[-1][1] == width
        assert all(before[1] == after[0] for before, after in itertools.pairwise(ends))
        sizes = [last - first for first, last in ends]
        assert max(sizes) - min(sizes) <= 1


# -- nodes that are drawn ------------------------------------------------------------------------------


@pytest.mark.parametrize("paired", [None, "even", "odd"])
def test_random_nodes_are_those_of_the_random_network(paired):
    law = hr.RandomNodes(12, 3, std_a=0.5, std_w=2.0, paired=paired, activation="tanh", seed=[1, 2])
    network = hr.MeanFieldNetwork.random(
        12, 3, std_a=0.5, std_w=2.0, paired=paired, activation="tanh", seed=[1, 2]
    )
    assert law.network() == network
    a, w = law.draw(4, 9)
    assert a.tobytes() == network.a[4:9].tobytes()
    assert w.tobytes() == network.w[4:9].tobytes()
    assert law == hr.RandomNodes(12, 3, std_a=0.5, std_w=2.0, paired=paired, activation="tanh", seed=[1, 2])
    with pytest.raises(hr.ShapeError, match=r"first = 4, last = 13: must be"):
        law.draw(4, 13)


def test_nodes_that_are_drawn_learn_as_those_that_are_given():
    for options in ({}, {"dtype": "float32"}):
        drawn = result(made(**options))
        given = result(made(network=hr.RandomNodes(23, D, seed=3).network(), **options))
        assert same(drawn.drop_attrs(), given.drop_attrs())
    law = hr.RandomNodes(23, D, seed=3)
    drawn, given = (
        made(network=each, data=None, teacher=np.arange(1.0, 7.0)) for each in (law, law.network())
    )
    assert same(result(drawn).drop_attrs(), result(given).drop_attrs())
    with pytest.raises(hr.ShapeError, match="even"):
        hr.RandomNodes(3, 2, paired="odd")
    with pytest.raises(hr.InvalidParameterError, match="float32"):
        made(network=hr.RandomNodes(23, D, std_w=1e200), dtype="float32")


# -- shards --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [made, fresh])
def test_shards_learn_as_the_whole(make):
    whole, parts = result(make()), result(make(shards=5))
    for name in whole.data_vars:
        # The outputs' sum over nodes in another order, through 8 steps.
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-9, atol=1e-12, err_msg=name)
    assert parts.attrs["settings"] != whole.attrs["settings"]


@pytest.mark.parametrize("make", [made, fresh])
@pytest.mark.parametrize("options", [{}, {"dtype": "float32"}, {"subtract_init": False, "loss": "logistic"}])
def test_one_shard_elsewhere_is_the_whole_bit_for_bit(make, options):
    whole = make(**options)
    expected = result(whole)
    with ThreadPoolExecutor(1) as pool:
        run = make(**options, executor=pool)
        assert same(result(run), expected)
        assert run.network == whole.network
        run.close()


def test_bits_depend_on_the_number_of_shards_alone():
    run = made(shards=5)
    expected = result(run)
    for workers in (1, 2, 3, 7):
        with ThreadPoolExecutor(workers) as pool:
            other = made(shards=5, executor=pool)
            assert same(result(other), expected), workers
            assert other.network == run.network
    workers = LocalWorkers(2)
    try:
        assert same(result(made(shards=5, executor=workers)), expected)
    finally:
        workers.shutdown(cancel_futures=True)


def test_numbers_of_numpy_cut_nodes_as_those_of_python():
    numbers = {"shards": 3, "record_nodes": 9}
    unsigned = {name: np.uint64(number) for name, number in numbers.items()}
    assert same(result(made(**unsigned)), result(made(**numbers)))


def test_given_weights_and_a_teacher_reach_the_shards():
    options = {
        "network": hr.RandomNodes(23, D, seed=3).network(),
        "data": None,
        "teacher": np.arange(1.0, 7.0),
    }
    expected = made(**options, shards=4)
    kept = result(expected)
    with ThreadPoolExecutor(2) as pool:
        run = made(**options, shards=4, executor=pool)
        assert same(result(run), kept)
        assert run.network == expected.network


def test_a_run_in_shards_ends_when_all_are_satisfied():
    X, y = hr.LinearlySeparable(D).sample(10)
    options = {"network": hr.RandomNodes(40, D, seed=1), "X": X, "y": y, "alpha": 3.0}
    whole = hr.Particles(**options).run(4000)
    parts = hr.Particles(**options, shards=3).run(4000)
    assert whole.attrs["stopped"] == parts.attrs["stopped"] == "satisfied"
    assert (whole.first_satisfied == parts.first_satisfied).all()


def test_shards_diverge_as_the_whole():
    for options in ({}, {"shards": 3}):
        with pytest.raises(hr.DivergenceError) as caught:
            result(made(loss="squared", beta=1e200, **options))
        assert caught.value.result.sizes["t"] == 1
    with ThreadPoolExecutor(2) as pool, pytest.raises(hr.DivergenceError):
        result(made(loss="squared", beta=1e200, shards=3, executor=pool))


def test_steps_may_be_taken_by_hand_and_copied():
    import copy
    import pickle

    by_hand, expected = made(shards=3), made(shards=3)
    result(expected)
    by_hand.advance(5, dt=0.3)
    twins = [copy.deepcopy(by_hand), pickle.loads(pickle.dumps(by_hand)), by_hand]
    for run in twins:
        run.advance(3, dt=0.3)
        assert run.network == expected.network
        assert run.t == expected.t


# -- checkpoints ---------------------------------------------------------------------------------------


def stop_at_4(run, seen):
    if run.step >= 3:
        raise hr.StopRun


def test_a_checkpoint_has_a_file_a_shard_and_goes_on_anywhere(tmp_path):
    expected = result(made(shards=3))
    path = tmp_path / "run.npz"
    result(made(shards=3), checkpoint=path, callbacks=[stop_at_4])
    files = sorted(file.name for file in (tmp_path / "run.npz.shards").iterdir())
    assert len(files) == 3
    assert all(f"shard-{k}-of-3-step-3" in name for k, name in enumerate(files))
    assert same(hr.load(path).run(8, dt=0.3, save_at=[8]).drop_attrs(), expected.drop_attrs())
    with ThreadPoolExecutor(2) as pool:
        assert same(hr.resume(path, executor=pool), expected)
    # A finished run is read without its shards; what earlier saves left is gone.
    assert same(hr.resume(path), expected)
    assert len(list((tmp_path / "run.npz.shards").iterdir())) == 3


def test_one_shard_moves_between_an_executor_and_this_process(tmp_path):
    expected = result(made())
    path = tmp_path / "run.npz"
    with ThreadPoolExecutor(1) as pool:
        result(made(executor=pool), checkpoint=path, callbacks=[stop_at_4])
        assert same(hr.resume(path), expected)
    path = tmp_path / "other.npz"
    result(made(), checkpoint=path, callbacks=[stop_at_4])
    with ThreadPoolExecutor(1) as pool:
        assert same(hr.resume(path, executor=pool), expected)


def test_shards_that_are_not_there_are_named(tmp_path):
    path = tmp_path / "run.npz"
    result(made(shards=3), checkpoint=path, callbacks=[stop_at_4])
    next((tmp_path / "run.npz.shards").glob("shard-1-*")).unlink()
    with pytest.raises(hr.InvalidParameterError, match="shard-1-of-3"):
        hr.resume(path)
    result(fresh(), checkpoint=tmp_path / "other.npz")
    flow = hr.KernelFlow(np.eye(3), [1.0, -1.0, 1.0])
    flow.run(max_steps=2, checkpoint=tmp_path / "flow.npz")
    with ThreadPoolExecutor(1) as pool, pytest.raises(hr.InvalidParameterError, match="no shards"):
        hr.resume(tmp_path / "flow.npz", executor=pool)


# -- workers -------------------------------------------------------------------------------------------


def kill_one(workers, at):
    """Return a callback that kills a worker at a step."""

    def callback(run, seen):
        if run.step == at:
            os.kill(next(iter(workers._children.values())).pid, signal.SIGKILL)

    return callback


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_killed_worker_changes_no_bit(tmp_path, checkpoint):
    expected = made(shards=4)
    kept = result(expected)
    workers = LocalWorkers(2)
    options = {"checkpoint": tmp_path / "run.npz", "checkpoint_every": 0.0} if checkpoint else {}
    try:
        run = made(shards=4, executor=workers)
        assert same(result(run, callbacks=[kill_one(workers, 3)], **options), kept)
        assert run.network == expected.network
        # Between runs too, and where what was measured is still wanted of the shard.
        kill_one(workers, run.step)(run, {})
        assert (run.first_satisfied == expected.first_satisfied).all()
        run.advance(2)
        expected.advance(2)
        assert run.network == expected.network
    finally:
        workers.shutdown(cancel_futures=True)


def test_workers_that_are_all_gone_end_the_run_with_what_it_measured(tmp_path):
    workers = LocalWorkers(2)
    path = tmp_path / "run.npz"

    def shut(run, seen):
        if run.step == 3:
            workers.shutdown(wait=False, cancel_futures=True)

    with pytest.raises(hr.ResourceError, match="resume"):
        result(made(shards=4, executor=workers), checkpoint=path, checkpoint_every=0.0, callbacks=[shut])
    assert same(hr.resume(path), result(made(shards=4)))


def test_workers_are_free_when_they_are_let_go():
    with ThreadPoolExecutor(1) as pool:
        run = made(shards=2, executor=pool)
        result(run)
        run.close()
        assert pool.submit(int, "3").result(timeout=10) == 3
        with pytest.raises(hr.ResourceError, match="shut down"):
            run.advance(1)


def test_no_program_waits_for_its_workers():
    program = """
import concurrent.futures, numpy as np, hmm_rs as hr
if __name__ == "__main__":
    pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=__import__("multiprocessing").get_context("spawn"))
    law = hr.LinearlySeparable(3)
    run = hr.Particles(hr.RandomNodes(10, 3), data=law, batch=5, test_size=5, shards=2, executor=pool)
    run.run(3)
    print("done")
"""
    told = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout.strip() == "done"


# -- Ctrl-C --------------------------------------------------------------------------------------------

#: Begins a run with two shards in a pool, or goes on with it, and says when Ctrl-C came out of it.
SHARDED = """
import concurrent.futures, multiprocessing, os, sys, time
import xarray
import hmm_rs as hr

if __name__ == "__main__":
    how, workers, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    # The first table loads whatever can hold arrays, dask too, and takes a second: not what is timed here.
    xarray.Dataset({"x": ("t", [0.0])})
    pool = concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(how))

    def tell(run, seen):
        print(run.step, os.getpid(), *pool._processes, flush=True)

    try:
        if os.path.exists(path):
            hr.resume(path, executor=pool, callbacks=[tell])
        else:
            nodes, data = hr.RandomNodes(1000, 20, seed=1), hr.LinearlySeparable(20)
            run = hr.Particles(nodes, data=data, batch=50, test_size=20, shards=2, executor=pool)
            run.run({steps}, save_at=range(0, {steps} + 1, 20), checkpoint=path, callbacks=[tell])
    except KeyboardInterrupt:
        print("out", time.time(), flush=True)
        raise
"""


def interrupted(folder, steps, how, workers, *, terminal, after):
    """Run the program, and press Ctrl-C some seconds after its first measurement; return what it said, and how long."""
    path = folder / "run.npz"
    command = [
        sys.executable,
        "-P",
        "-c",
        SHARDED.replace("{steps}", str(steps)),
        how,
        str(workers),
        str(path),
    ]
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        _, *numbers = map(int, program.stdout.readline().split())
        time.sleep(after)
        pressed = time.time()
        # A terminal sends it to all the processes in front of it.
        (os.killpg if terminal else os.kill)(program.pid, signal.SIGINT)
        told, said = program.communicate(timeout=30)
    except BaseException:
        os.killpg(program.pid, signal.SIGKILL)
        raise
    assert program.returncode == -signal.SIGINT, said
    out = [float(line.split()[1]) for line in told.splitlines() if line.startswith("out")]
    # The workers see that the line is cut, and end.
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{number}").exists() for number in numbers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [number for number in numbers if Path(f"/proc/{number}").exists()]
    return said, out[0] - pressed


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
@pytest.mark.parametrize(("how", "terminal"), [("fork", False), ("fork", True), ("spawn", True)])
def test_ctrl_c_leaves_workers_a_run_that_goes_on(tmp_path, how, terminal):
    steps = 1500
    delays = []
    for after in (0.0, 0.1):
        said, delay = interrupted(tmp_path, steps, how, 2, terminal=terminal, after=after)
        assert f"hmm_rs.resume({str(tmp_path / 'run.npz')!r}) continues it" in said
        assert "CheckpointWarning" not in said
        delays.append(delay)
    # The step under way, the save and the result take 0.01 to 0.04 s; a machine that does other things delays some.
    assert min(delays) < 0.5
    stopped = hr.load(tmp_path / "run.npz").step
    assert 0 < stopped < steps
    nodes, data = hr.RandomNodes(1000, 20, seed=1), hr.LinearlySeparable(20)
    whole = hr.Particles(nodes, data=data, batch=50, test_size=20, shards=2)
    expected = whole.run(steps, save_at=range(0, steps + 1, 20), threads=1)
    assert same(hr.resume(tmp_path / "run.npz", threads=1), expected)


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_ctrl_c_that_breaks_the_pool_leaves_the_last_save(tmp_path):
    """A worker without a shard dies of Ctrl-C at a terminal, and the standard library ends the others with it."""
    path = tmp_path / "run.npz"
    interrupted(tmp_path, 4000, "fork", 2, terminal=True, after=0.0)
    broken = False
    # On a loaded machine the library may see the dead worker only when the save is made already.
    for _ in range(5):
        kept = hr.load(path).step
        said, delay = interrupted(tmp_path, 4000, "fork", 3, terminal=True, after=0.1)
        broken = "the last good one is kept" in said
        assert f"hmm_rs.resume({str(path)!r}) continues it" in said
        assert delay < 5.0
        assert hr.load(path).step == kept if broken else hr.load(path).step >= kept
        if broken:
            break
    assert broken


class Losing:
    """A queue that swallows what it gives: Ctrl-C came before anybody had it."""

    def __init__(self, queue, *, at):
        self.queue, self.left = queue, at

    def get(self, timeout):
        answer = self.queue.get(timeout=timeout)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return answer

    def put(self, answer):
        self.queue.put(answer)


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6, 7, 8])
def test_an_answer_that_ctrl_c_swallows_is_not_waited_for(at):
    expected = made(shards=4)
    result(expected)
    with ThreadPoolExecutor(2) as pool:
        run = made(shards=4, executor=pool)
        run.advance(2, dt=0.3)
        office = run._engine._holders._office
        answers = office.answers
        office.answers = Losing(answers, at=at)
        with pytest.raises(KeyboardInterrupt):
            run.advance(6, dt=0.3)
        office.answers = answers
        run.advance(8 - run.step, dt=0.3)
        assert run.network == expected.network


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
def test_ctrl_c_while_lost_shards_are_built_again_leaves_none_out(at):
    expected = made(shards=4)
    result(expected)
    workers = LocalWorkers(2)
    try:
        run = made(shards=4, executor=workers)
        run.advance(3, dt=0.3)
        crew = run._engine._holders
        exchange = crew._exchange

        def interrupted(requests):
            names = {name for calls in requests.values() for name, _ in calls}
            if "make" in names:
                office = crew._office
                answers, office.answers = office.answers, Losing(office.answers, at=at)
                try:
                    return exchange(requests)
                finally:
                    office.answers = answers
            return exchange(requests)

        crew._exchange = interrupted
        kill_one(workers, run.step)(run, {})
        with pytest.raises(KeyboardInterrupt):
            run.advance(5, dt=0.3)
        crew._exchange = exchange
        run.advance(8 - run.step, dt=0.3)
        assert run.network == expected.network
    finally:
        workers.shutdown(cancel_futures=True)


def test_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(hosts, "other_version", lambda version: f"the worker here has another than {version}")
    with ThreadPoolExecutor(1) as pool, pytest.raises(hr.InvalidParameterError, match="another than"):
        result(made(executor=pool))


def test_bad_input_is_refused():
    with pytest.raises(hr.InvalidParameterError, match="shards = 24"):
        made(shards=24)
    with pytest.raises(hr.DtypeError, match="executor = 3: must be an executor"):
        made(executor=3)
    with ThreadPoolExecutor(1) as pool:
        pool.shutdown()
        with pytest.raises(hr.ResourceError, match="takes no tasks"):
            result(made(executor=pool))
