"""Work on several processes: order kept, one lost job is one lost job."""

import os

import pytest

from realbogus.errors import FrameError
from realbogus.pipeline.workers import run_jobs


def work(job):
    if job == "frame":
        raise FrameError("a reason")
    if job == "odd":
        raise IndexError("list index out of range")
    if job == "die":
        os._exit(9)
    return job * 2


@pytest.mark.parametrize("processes", [1, 2])
def test_errors_stay_with_their_job(processes):
    told = []
    out = run_jobs(work, [1, "frame", 3, "odd"], processes=processes, progress=lambda done, of: told.append((done, of)))
    assert out[0] == 2 and out[2] == 6
    assert isinstance(out[1], FrameError) and "a reason" in str(out[1])
    assert isinstance(out[3], FrameError) and "IndexError" in str(out[3])
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_job_that_kills_its_process_costs_no_other():
    out = run_jobs(work, [1, "die", 3, 4, 5], processes=2)
    assert [out[0], *out[2:]] == [2, 6, 8, 10]
    assert isinstance(out[1], FrameError) and "died" in str(out[1])


def test_no_jobs_are_no_work():
    assert run_jobs(work, [], processes=2) == []
