"""Which environment runs what, and whether it fits the driver."""

from dataclasses import replace

import pytest

from backend.engines.choice import choose_environment, default_engine
from backend.errors import InvalidInput, Message, Unavailable
from backend.machine.fit import check_report, gpu_problem, needs_transformers4
from backend.machine.machine import Environment, Machine
from tests.support.machines import (
    CONSOLE,
    COURSE,
    COURSE_MACHINE,
    INTERNLM2,
    INTERNVL_AWQ,
    LAPTOP,
    SERVER,
    config,
    model,
)


@pytest.mark.parametrize(
    ("torch_cuda", "turbomind_cuda", "driver_cuda", "fits"),
    [
        ("13.0", "12", "13.0", True),
        ("13.0", "12", "13.2", True),
        ("12.8", "12", "13.0", True),  # a newer driver runs older CUDA
        ("12.8", "12.8", "12.2", True),  # an older driver of the same major version too
        ("13.0", "12", "12.2", False),
        ("12.1", "12", "11.8", False),
        ("11.8", "12", "11.8", False),  # TurboMind's counts as well
        ("12.1", "", "12.2", True),
    ],
)
def test_the_driver_must_have_the_cuda(torch_cuda: str, turbomind_cuda: str, driver_cuda: str, fits: bool) -> None:
    environment = replace(CONSOLE, torch_cuda=torch_cuda, turbomind_cuda=turbomind_cuda)
    problem = gpu_problem(environment, replace(SERVER, driver_cuda=driver_cuda))
    assert (problem is None) is fits
    assert problem is None or problem.key == "environments.driver-too-old"


def test_too_old_a_driver_says_what_it_takes() -> None:
    problem = gpu_problem(CONSOLE, COURSE_MACHINE)
    assert problem is not None
    assert problem.params["part"] == "PyTorch"
    assert (problem.params["needed"], problem.params["major"]) == ("580", 12)


@pytest.mark.parametrize(
    ("environment", "machine", "key"),
    [
        (replace(CONSOLE, lmdeploy=""), SERVER, "lacks-lmdeploy"),
        (CONSOLE, LAPTOP, "no-driver"),
        (CONSOLE, replace(SERVER, gpus=()), "no-gpu"),
        (replace(CONSOLE, torch=""), SERVER, "lacks-torch"),
        (replace(CONSOLE, torch_cuda=""), SERVER, "torch-without-cuda"),
    ],
)
def test_what_else_does_not_fit(environment: Environment, machine: Machine, key: str) -> None:
    problem = gpu_problem(environment, machine)
    assert problem is not None
    assert problem.key == f"environments.{key}"


def test_the_default_engine_follows_the_hardware() -> None:
    assert default_engine(SERVER) == "turbomind"
    assert default_engine(COURSE_MACHINE) == "turbomind"  # the course's LMDeploy fits its driver
    assert default_engine(LAPTOP) == "transformers"
    assert default_engine(replace(COURSE_MACHINE, environments=(CONSOLE,))) == "transformers"


def test_the_consoles_environment_comes_first_where_it_fits() -> None:
    both = replace(SERVER, environments=(COURSE, CONSOLE))
    assert choose_environment(config(), model(), both) is CONSOLE
    assert choose_environment(config(), model(), COURSE_MACHINE) is COURSE
    assert choose_environment(config("transformers"), model(), COURSE_MACHINE) is CONSOLE
    assert choose_environment(config(environment=COURSE.id), model(), both) is COURSE
    assert choose_environment(config(), model(), LAPTOP) is CONSOLE  # so that its command can be seen
    broken = replace(CONSOLE, problem=Message("environments.probe-failed"))
    assert choose_environment(config(), model(), replace(SERVER, environments=(broken, COURSE))) is COURSE


def test_no_environment_to_choose() -> None:
    with pytest.raises(Unavailable):
        choose_environment(config(), model(), replace(SERVER, environments=()))
    with pytest.raises(InvalidInput):
        choose_environment(config(environment="/gone"), model(), SERVER)


def test_which_jobs_need_transformers_4() -> None:
    assert needs_transformers4(INTERNLM2)
    assert needs_transformers4(replace(INTERNVL_AWQ, text_architecture="InternLM2ForCausalLM"))
    assert not needs_transformers4(INTERNVL_AWQ)
    assert not needs_transformers4(model())


def test_the_environment_check() -> None:
    second = replace(CONSOLE, id="/second", kind="internlm2", transformers="4.57.6")
    machine, own, other = check_report(replace(LAPTOP, environments=(CONSOLE, second)))
    assert (machine.label, machine.verdict.key) == ("", "environments.no-driver")
    assert own.verdict.key == "environments.cpu-only"
    assert other.verdict.key == "environments.jobs-only"
    machine, own, course = check_report(COURSE_MACHINE)
    assert dict(machine.values)["environments.gpus"] == "0: NVIDIA A100, 40.0 GiB"
    assert (own.verdict.key, own.verdict.level) == ("environments.driver-too-old", "warning")
    assert (course.verdict.key, course.verdict.level) == ("environments.fits", "info")
    assert dict(course.values)["environments.lmdeploy"] == "0.5.3"
