"""A driver that is looked at, stopped and copied from other threads while it runs."""

import asyncio
import copy
import os
import pickle
import threading
import time

import numpy as np
import pytest

import hmm_rs as hr


def online(size=200):
    model = hr.HiddenManifold(size, 20, seed=1)
    return hr.OnlineSGD(
        model,
        hr.TwoLayer.random(2, 20, seed=2),
        student=hr.TwoLayer.random(2, size, seed=3),
        lr=0.2,
        test_size=200,
    )


def particles():
    network = hr.MeanFieldNetwork.random(200, 20, seed=1)
    return hr.Particles(network, data=hr.LinearlySeparable(20), batch=200, test_size=200)


def flow():
    X, y = hr.Stripe(5).sample(200, seed=1)
    network = hr.MeanFieldNetwork.random(200, 5, std_b=1.0, activation="sqrt2_relu", seed=1)
    return hr.GradientFlow(network, X, y, loss="softhinge")


def kernel_flow():
    X, y = hr.Stripe(3).sample(200, seed=1)
    return hr.KernelFlow(hr.kernels.ntk(X), y, loss="softhinge")


ENGINES = {
    "OnlineSGD": (online, {"t_max": 1e7, "save_at": [0, 1e7]}, lambda d: d.student.w),
    "Particles": (particles, {"steps": 10**9, "save_at": [0, 10**9]}, lambda d: d.network.w),
    "GradientFlow": (flow, {"max_steps": 10**9, "save_steps": [0]}, lambda d: d.network.w),
    "KernelFlow": (kernel_flow, {"max_steps": 10**9, "save_steps": [0]}, lambda d: d.coefficients),
}


class Running:
    """A run in another thread, stopped at the end of the block."""

    def __init__(self, driver, **run):
        self.driver = driver
        self.result = self.error = None
        self.thread = threading.Thread(target=self._work, kwargs=run)

    def _work(self, **run):
        try:
            self.result = self.driver.run(**run)
        except BaseException as error:
            self.error = error

    def __enter__(self):
        self.thread.start()
        while self.driver.step == 0 and self.thread.is_alive():
            time.sleep(0.001)
        return self

    def __exit__(self, *_):
        self.driver.stop()
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_is_watched_and_stopped_from_another_thread(engine):
    make, run, weights = ENGINES[engine]
    driver = make()
    with Running(driver, **run) as running:
        steps, times = [], []
        until = time.monotonic() + 0.5
        while time.monotonic() < until and running.thread.is_alive():
            steps.append(driver.step)
            times.append(driver.t)
            assert np.isfinite(weights(driver)).all()
            twin = copy.deepcopy(driver)
            assert pickle.loads(pickle.dumps(driver)).step >= twin.step
            for change in (lambda: driver.advance(1), lambda: driver.run(**run)):
                with pytest.raises(hr.HmmError, match="run"):
                    change()
    assert running.error is None
    assert running.result.attrs["stopped"] == "stop"
    assert steps == sorted(steps)
    assert times == sorted(times)
    assert steps[-1] > steps[0]
    # A copy made on the way goes on as the original would have.
    fresh = make()
    fresh.advance(twin.step)
    np.testing.assert_array_equal(weights(fresh), weights(twin))


def test_a_stopped_run_can_be_resumed_and_started_again(tmp_path):
    path = tmp_path / "run.npz"
    driver = online()
    options = {"t_max": 300.0, "save_at": [0, 1, 300]}

    def stop(driver, seen):
        if seen["t"] >= 1:
            # From any thread, this one included.
            thread = threading.Thread(target=driver.stop)
            thread.start()
            thread.join()

    stopped = driver.run(**options, checkpoint=path, callbacks=[stop])
    assert stopped.attrs["stopped"] == "stop"
    assert stopped.sizes["t"] == 2
    whole = online().run(**options)
    resumed = hr.resume(path)
    assert (resumed.eg.values == whole.eg.values).all()
    # Stopping nothing is no error and does not stop the next run.
    driver.stop()
    assert driver.run(301.0, save_at=[301]).attrs["stopped"] == ""


def test_a_callback_cannot_start_its_own_run_again():
    told = []

    def again(driver, seen):
        for start in (lambda: driver.run(2.0), lambda: driver.run(t_max=0.5)):
            with pytest.raises(hr.HmmError, match="running already") as caught:
                start()
            told.append(str(caught.value))
        # What it may do is look.
        told.append(driver.student.w.shape)
        assert copy.deepcopy(driver).run(seen["t"] + 1, save_at=[seen["t"] + 1]).sizes["t"] == 1

    result = online().run(1.0, save_at=[0, 1], callbacks=[again])
    assert len(told) == 6
    assert (result.eg.values == online().run(1.0, save_at=[0, 1]).eg.values).all()


def test_rules_of_a_run_stand_where_a_callback_tries_to_start_another():
    def again(driver, seen):
        with pytest.raises(hr.HmmError, match="running already"):
            driver.run(stop_frac=0.01, max_steps=1)

    run = {"max_steps": 40, "save_steps": [0, 10, 40]}
    whole, bothered = flow().run(**run), flow().run(**run, callbacks=[again])
    assert bothered.drop_attrs().equals(whole.drop_attrs())
    assert bothered.attrs["stopped"] == whole.attrs["stopped"] == "max_steps"


def test_a_callback_may_wait_for_a_thread_that_reads_the_driver():
    seen = []

    def watch(driver, _):
        thread = threading.Thread(target=lambda: seen.append(driver.student.w.shape))
        thread.start()
        thread.join(30)

    online().run(1.0, save_at=[0, 1], callbacks=[watch])
    assert seen == [(2, 200)] * 2


def test_a_monitor_in_an_event_loop():
    async def main():
        driver = online()
        task = asyncio.create_task(asyncio.to_thread(driver.run, 1e7, save_at=[0, 1e7]))
        seen = []
        while len(seen) < 5:
            await asyncio.sleep(0.05)
            seen.append(driver.t)
        driver.stop()
        return (await task).attrs["stopped"], seen

    stopped, seen = asyncio.run(main())
    assert stopped == "stop"
    assert seen == sorted(seen)


def test_many_readers_do_not_bring_a_run_to_a_stand():
    driver = online()
    done = threading.Event()
    errors = []

    def read():
        try:
            while not done.is_set():
                assert driver.student.w.shape == (2, 200)
        except Exception as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    with Running(driver, t_max=1e7, save_at=[0, 1e7]):
        for reader in readers:
            reader.start()
        before = driver.step
        time.sleep(1.0)
        gone = driver.step - before
        done.set()
        for reader in readers:
            reader.join()
    assert not errors
    assert gone > 1000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
# JAX, where an earlier test loaded it, warns of any fork; the child uses none of it.
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
def test_a_run_of_another_thread_does_not_go_on_in_a_forked_child():
    driver = online()
    with Running(driver, t_max=1e7, save_at=[0, 1e7]):
        # Between two slices: what the other thread holds at a fork, the child would wait for in vain.
        with driver._run.holding():
            child = os.fork()
            if child == 0:
                try:
                    end = driver.t + 1.0
                    os._exit(0 if driver.run(end, save_at=[end]).sizes["t"] == 1 else 1)
                except BaseException:
                    os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
