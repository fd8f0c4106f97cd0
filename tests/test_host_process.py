"""The process that uses the package stays its own: workers of every kind, other interpreters, threads."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ProcessPoolExecutor

import pytest

import hmm_rs as hr
from hmm_rs.testing import difference

METHODS = multiprocessing.get_all_start_methods()


def engine() -> hr.OnlineSGD:
    teacher, student = hr.TwoLayer.random(2, 20, seed=1), hr.TwoLayer.random(2, 200, seed=2)
    model = hr.HiddenManifold(200, 20, seed=3)
    return hr.OnlineSGD(model, teacher, student=student, lr=0.1, test_size=100)


RUN = {"t_max": 1.0, "save_at": [0.5, 1.0], "threads": 2}


# Python's own warning of a fork beside threads, and JAX's where an earlier test loaded it: that this works is the test.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:os.fork:RuntimeWarning")
@pytest.mark.parametrize("method", METHODS)
def test_workers_started_after_use_give_the_same_bits(method: str) -> None:
    whole = engine().run(**RUN)
    used = engine()
    used.advance(50)
    here = engine()
    here.advance(50)
    here = here.run(**RUN)
    model = hr.HiddenManifold(200, 20, seed=3)
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        fresh, gone_on = pool.submit(engine().run, **RUN), pool.submit(used.run, **RUN)
        sample = pool.submit(model.sample, 100, seed=5)
        kernel = pool.submit(hr.kernels.ntk, model.sample(50)[0])
        assert difference(whole, fresh.result(60)) == ""
        assert difference(here, gone_on.result(60)) == ""
        assert difference(model.sample(100, seed=5), sample.result(60)) == ""
        assert difference(hr.kernels.ntk(model.sample(50)[0]), kernel.result(60)) == ""
    # And the process that started them goes on.
    assert difference(whole, engine().run(**RUN)) == ""


# A run that begins where another thread has brought the engine already says so.
@pytest.mark.filterwarnings("ignore:.*is at t = .* already:RuntimeWarning")
def test_threads_on_one_engine_wait_or_are_told() -> None:
    """Eight threads do to one engine what they like: each call works or is refused in words of the package."""
    shared = engine()
    told: list[BaseException] = []

    def use(number: int) -> None:
        calls = (
            lambda: shared.run(shared.t + 0.05),
            lambda: shared.advance(5),
            lambda: shared.observe(),
            lambda: shared.student.forward([[0.0] * 200]),
            lambda: shared.result,
            shared.stop,
        )
        for turn in range(30):
            try:
                calls[(number + turn) % len(calls)]()
            except BaseException as error:
                told.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert all(isinstance(error, hr.HmmError) for error in told), [repr(error) for error in told][:5]
    assert not [error for error in told if "borrow" in str(error).lower()]
    # The engine is whole.
    shared.run(shared.t + 0.5)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="interpreters of one's own lock came with Python 3.12")
def test_another_interpreter_is_refused_and_the_first_lives_on() -> None:
    """The stable ABI has one interpreter a process: `import` says so, and nothing breaks."""
    program = textwrap.dedent("""
        import sys
        import hmm_rs as hr
        before = hr.HiddenManifold(20, 5).sample(3)[0]
        if sys.version_info >= (3, 13):
            import _interpreters as interpreters
        else:
            import _xxsubinterpreters as interpreters
        other = interpreters.create()
        program = '''if True:
            try:
                import hmm_rs._lib
            except ImportError:
                pass
            else:
                raise SystemError("it was imported")
        '''
        told = interpreters.run_string(other, program)
        assert told is None, told
        interpreters.destroy(other)
        assert (hr.HiddenManifold(20, 5).sample(3)[0] == before).all()
    """)
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
