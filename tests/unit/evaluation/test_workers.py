"""Tasks get done whoever dies, each in a process of its own kind."""

import os
import signal
import time

from evaluation_chores import Chores, broken_from_the_start
from semanticodec.evaluation.workers import WorkerCrash, run_tasks


def do(*tasks, jobs=1, threads=1):
    return list(run_tasks(Chores, tasks, jobs=jobs, threads=threads))


def test_every_task_comes_back_with_its_result(capfd):
    results = do({"double": 1}, {"double": 2}, {"print": "not for stdout"}, {"calls": None})
    assert [result for _, result in results[:2]] == [2, 4]
    assert results[3][1][0] != os.getpid()
    assert results[3][1][1] == 4  # one process did them all
    captured = capfd.readouterr()
    assert captured.out == "" and "not for stdout" in captured.err


def test_a_death_costs_its_own_task_only():
    tasks = [{"double": 1}, {"die": True}, {"double": 3}, {"exit": 3}, {"double": 5}]
    results = do(*tasks)
    assert [task for task, _ in results] == tasks
    assert [results[i][1] for i in (0, 2, 4)] == [2, 6, 10]
    reasons = [results[i][1].reason for i in (1, 3)]
    assert reasons[0] == (
        "the process that worked on it was killed by SIGKILL; was the memory full?"
    )
    assert reasons[1] == "the process that worked on it ended (exit status 3)"


def test_threads_are_limited_in_the_processes_only(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    results = do({"env": "OMP_NUM_THREADS"}, {"env": "MKL_NUM_THREADS"}, threads=3)
    assert [result for _, result in results] == ["3", "3"]
    assert "OMP_NUM_THREADS" not in os.environ
    assert os.environ["MKL_NUM_THREADS"] == "7"


def test_two_jobs_work_side_by_side_and_end_with_the_caller():
    running = run_tasks(
        Chores, [{"sleep": 60}, {"calls": None}, {"calls": None}], jobs=2, threads=1
    )
    started = time.monotonic()
    (_, first), (_, second) = next(running), next(running)
    assert first[0] == second[0]
    running.close()
    assert time.monotonic() - started < 40


def test_work_that_cannot_even_start_is_a_death_of_each_task():
    results = list(
        run_tasks(broken_from_the_start, [{"double": 1}, {"double": 2}], jobs=1, threads=1)
    )
    assert [result for _, result in results] == [
        WorkerCrash(reason="the process that worked on it ended (exit status 9)")
    ] * 2


def test_ctrl_c_is_left_to_the_parent():
    running = run_tasks(Chores, [{"calls": None}, {"sleep": 1}, {"double": 2}], jobs=1, threads=1)
    _, (pid, _) = next(running)
    os.kill(pid, signal.SIGINT)
    assert [result for _, result in running] == [None, 4]


def test_work_that_raises_is_a_crash_of_its_task():
    results = do({"raise": "it broke"}, {"double": 2})
    reason = "the process that worked on it failed (ValueError: it broke)"
    assert [result for _, result in results] == [WorkerCrash(reason=reason), 4]
