"""The jobs: checked, queued one at a time for each GPU, run, followed, found again after a restart."""

import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from backend.errors import Conflict, ConsoleError, InvalidInput, Message, NotFound
from backend.machine.machine import Machine
from backend.models.catalog import Catalog
from backend.processes.supervisor import Run, Supervisor
from backend.quantization import checks, evaluation, preview, sizes, surroundings
from backend.quantization.base import CPU, GpuUser, QuantConfig, Steps
from backend.quantization.job import UNFINISHED, Job, JobState, JobView, job_from_json
from backend.quantization.log_reader import Expected
from backend.quantization.preview import JobPreview, Subject, write_plan
from backend.quantization.texts import KeptTexts
from backend.quantization.token_count import TokenCounter
from backend.quantization.watcher import CANCEL_GRACE_S, COMPARE_KIND, KIND, PERPLEXITY_KIND, JobWatcher
from backend.records import Records, readable, unique_name
from backend.settings import Settings
from backend.store import Store

AREA = "job"
MOST_NAMES = 1000


def nobody(gpu: str) -> Sequence[GpuUser]:
    """No server on any GPU."""
    return ()


class JobManager:
    """All quantization jobs of this console. Every method is safe to call from any thread."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        supervisor: Supervisor,
        catalog: Catalog,
        machine_of: Callable[[], Machine],
        *,
        gpu_users: surroundings.GpuUsers = nobody,
    ) -> None:
        self._supervisor = supervisor
        self._catalog = catalog
        self._machine_of = machine_of
        self._gpu_users = gpu_users
        self._folder = settings.state_dir / "jobs"
        self.texts = KeptTexts(settings.state_dir / "calibration")
        self._tokens = TokenCounter()
        self._records = Records[Job](store, AREA, Job.to_json)
        self._load()
        self._watcher = JobWatcher(self._records, supervisor, self._folder, machine_of)
        supervisor.on_change(self._run_changed)
        self._watcher.step()
        self._watcher.start()

    def close(self) -> None:
        """Stop watching. The jobs go on."""
        self._watcher.close()

    # What the form shows and starts

    def preview(self, config: QuantConfig, *, network: bool = False) -> JobPreview:
        """The commands that ``start`` would run, and everything wrong or worth knowing. Starts nothing.

        ``network`` also asks whether a dataset that isn't here can be downloaded, which takes seconds. The tokens of a
        text are checked where ``count_tokens`` has counted them.
        """
        machine = self._machine_of()
        try:
            subject = preview.find_subject(config, self._catalog, self.texts, machine)
        except ConsoleError as error:
            return JobPreview("", error.messages)
        subject = replace(subject, tokens=self._known_tokens(config, subject))
        return JobPreview(
            preview.steps(config, subject).preview() if config.output.strip() else "",
            self._messages(config, subject, machine, network=network),
            subject.environment,
            sum(sizes.sizes(subject.tensors).values()) or None,
            sizes.quantized_bytes(subject.tensors, subject.method.weight_bits(config)) or None,
        )

    def count_tokens(self, config: QuantConfig) -> int | None:
        """The tokens of the calibration text, by the model's own tokenizer in a child; None where there is no text.

        Takes seconds the first time. Raises InvalidInput where model, text or tokenizer can't be used.
        """
        return self._count(config, preview.find_subject(config, self._catalog, self.texts, self._machine_of()))

    def start(self, config: QuantConfig) -> str:
        """Check everything, queue the job, and run it when its device is free. The job's id.

        Takes seconds where a text must be counted or a dataset looked for. Raises InvalidInput, Conflict or Unavailable
        with everything that is wrong; then nothing was started or written.
        """
        machine = self._machine_of()
        subject = preview.find_subject(config, self._catalog, self.texts, machine)
        subject = replace(subject, tokens=self._known_tokens(config, subject))
        # What can be seen at once comes first: counting tokens of a text for a model that is refused is in vain.
        _refuse(self._messages(config, subject, machine, network=False))
        subject = replace(subject, tokens=self._count(config, subject))
        _refuse(self._messages(config, subject, machine, network=True))
        if subject.environment is None:
            raise InvalidInput(Message("quantize.environment.none", field="model"))
        steps = preview.steps(config, subject)
        job = self._make(config, subject, steps)
        write_plan(job, steps, self._folder / job.id)
        with self._records.lock:
            taken = self._same_output(config)
            if not taken:
                self._records.put(job.id, replace(job, order=self._last_place()))
        if taken:
            shutil.rmtree(self._folder / job.id, ignore_errors=True)
            raise Conflict(*taken)
        self._watcher.wake()
        self.texts.forget_others({job.config.text for job in self._records.all()})
        return job.id

    def restart(self, job_id: str, changes: Mapping[str, Any] | None = None) -> str:
        """Start a job again with the same settings but for ``changes``. Raises as ``start``, and NotFound."""
        return self.start(replace(self.get(job_id).job.config, **(changes or {})))

    # What is done with a job

    def cancel(self, job_id: str) -> None:
        """End a running job (its whole process group, within two seconds) or take a waiting one from the queue."""
        with self._records.lock:
            job = self._job(job_id)
            if job.state is JobState.QUEUED:
                self._records.put(job_id, replace(job, state=JobState.CANCELLED, ended_at=time.time()))
                return
        if job.state is not JobState.RUNNING:
            raise Conflict(Message("quantize.job.ended", {"name": job.title}))
        self._supervisor.stop(job.run_id, grace_s=CANCEL_GRACE_S)

    def move(self, job_id: str, places: int) -> None:
        """Move a waiting job up (negative) or down in its queue."""
        with self._records.lock:
            job = self._job(job_id)
            if job.state is not JobState.QUEUED:
                raise Conflict(Message("quantize.job.not-waiting", {"name": job.title}))
            queue = self._queue(job.slot)
            at = queue.index(job)
            to = max(0, min(len(queue) - 1, at + places))
            queue.insert(to, queue.pop(at))
            for order, waiting in zip(sorted(j.order for j in queue), queue, strict=True):
                self._records.put(waiting.id, replace(waiting, order=order))

    def forget(self, job_id: str) -> None:
        """Take an ended job from the list, with its log; the model stays. Raises Conflict for one that isn't over."""
        with self._records.lock:
            job = self._job(job_id)
            run_ids = [run_id for run_id in (job.run_id, job.follow_up, job.perplexity_run) if run_id]
            if job.state in UNFINISHED or not all(self._has_ended(run_id) for run_id in run_ids):
                raise Conflict(Message("quantize.job.not-ended", {"name": job.title}))
            self._records.remove(job_id)
        for run_id in run_ids:
            with suppress(NotFound):
                self._supervisor.forget(run_id)
        shutil.rmtree(self._folder / job_id, ignore_errors=True)

    def measure_perplexity(self, job_id: str) -> None:
        """Measure a finished result's perplexity against the original's, when its GPU is free.

        Raises InvalidInput where there is nothing to measure, or no GPU to do it with.
        """
        evaluation.check_folders(self._job(job_id))
        with self._records.lock:
            job = self._job(job_id)
            result = evaluation.check_perplexity(job)
            queued = replace(result, perplexity_state="queued", perplexity_problem=None)
            self._records.put(job_id, replace(job, result=queued))
        self._watcher.wake()

    def note_gpu_memory(self, used: Mapping[str, int]) -> None:
        """Bytes of GPU memory that jobs hold now, by id: for the peak of a job whose log doesn't tell it (no data)."""
        self._watcher.note_gpu_memory(used)

    # What pages poll

    @property
    def version(self) -> int:
        """Grows with every change that a page would show, progress included."""
        return self._records.version

    def get(self, job_id: str) -> JobView:
        """One job as it is now. Raises NotFound."""
        with self._records.lock:
            return self._view(self._job(job_id))

    def snapshot(self) -> tuple[JobView, ...]:
        """Every job as it is now: those that run, those that wait in their order, those that ended, newest first."""
        ranks = {JobState.RUNNING: 0, JobState.QUEUED: 1}
        with self._records.lock:
            jobs = sorted(
                self._records.all(),
                key=lambda job: (ranks.get(job.state, 2), job.order if job.state in ranks else -job.ended_at),
            )
            return tuple(self._view(job) for job in jobs)

    # Inside

    def _make(self, config: QuantConfig, subject: Subject, steps: Steps) -> Job:
        """A new job, at the end of its queue."""
        assert subject.environment is not None
        matrices = sizes.shape(subject.tensors)
        tower = subject.method.through_text_tower(subject.model)
        return Job(
            id=secrets.token_hex(6),
            config=config,
            state=JobState.QUEUED,
            slot=config.gpu or CPU,
            order=time.time(),
            created_at=time.time(),
            model_name=subject.model.name,
            model_path=str(subject.model.path),
            output=str(steps.output),
            partial=str(steps.partial),
            command=steps.preview(),
            environment=subject.environment.label,
            python=str(subject.environment.python),
            deploy_dtype=subject.method.deploy_dtype(subject.model),
            model_format=subject.method.model_format,
            expected=Expected(
                matrices.layers,
                len(matrices.linears) if subject.method.packs else 0,
                config.calibrated,
                tower,
                on_cpu=not config.gpu,
            ),
            before=sizes.sizes(subject.tensors),
            name=unique_name(f"quantize {subject.model.name}", {job.title for job in self._records.all()}),
        )

    def free_output(self, place: Path, method: str) -> Path:
        """That folder, or the first of "NAME-2", "NAME-3" … that nothing stands in and no job is going to write."""
        planned = {job.output for job in self._records.all() if job.state in UNFINISHED}

        def is_free(folder: Path) -> bool:
            return str(folder) not in planned and surroundings.in_the_way(folder, method) not in surroundings.OCCUPIED

        names = chain([place.name], (f"{place.name}-{number}" for number in range(2, MOST_NAMES)))
        return next((folder for name in names if is_free(folder := place.with_name(name))), place)

    def _messages(
        self, config: QuantConfig, subject: Subject, machine: Machine, *, network: bool
    ) -> tuple[Message, ...]:
        """Everything wrong or worth knowing."""
        seen = surroundings.look(config, machine, self._gpu_users, subject.tokens, network=network)
        taken = self._same_output(config)
        if taken:  # what stands in the way is that job's own
            seen = replace(seen, output="")
        messages = subject.method.check(config, subject.model, subject.tensors, machine, subject.environment, seen)
        return (*messages, *taken)

    def _count(self, config: QuantConfig, subject: Subject) -> int | None:
        if subject.text is None or subject.environment is None or subject.environment.problem is not None:
            return None
        return self._tokens.count(subject.model, subject.text, subject.environment, config.trust_remote_code)

    def _load(self) -> None:
        """Jobs from the store; what the store lost, from what the runs keep about their jobs."""
        abouts = (run.about["job"] for run in self._supervisor.all(KIND) if "job" in run.about)
        running = readable(abouts, job_from_json)
        self._records.load(job_from_json, running)
        for job in self._records.all():
            if job.state is JobState.QUEUED and job.id in running:  # the console was killed as it started it
                self._records.put(job.id, job_from_json(running[job.id]))

    def _known_tokens(self, config: QuantConfig, subject: Subject) -> int | None:
        if subject.text is None or subject.environment is None:
            return None
        return self._tokens.known(subject.model, subject.text, subject.environment, config.trust_remote_code)

    def _same_output(self, config: QuantConfig) -> tuple[Message, ...]:
        """An unfinished job that writes to the same folder."""
        if not config.output.strip():
            return ()
        output = str(checks.output_path(config))
        jobs = (job for job in self._records.all() if job.state in UNFINISHED and job.output == output)
        return tuple(Message("quantize.output.taken", {"path": output, "name": job.title}, "output") for job in jobs)

    def _last_place(self) -> float:
        """The order of a new job: behind all others, even where the clock was set back."""
        return max([time.time(), *(job.order + 1e-3 for job in self._records.all())])

    def _run_changed(self, run: Run) -> None:
        """The supervisor's word that a run changed."""
        if run.kind in (KIND, COMPARE_KIND, PERPLEXITY_KIND) and run.ended:
            self._watcher.wake()

    def _has_ended(self, run_id: str) -> bool:
        try:
            return self._supervisor.get(run_id).ended
        except NotFound:
            return True

    def _view(self, job: Job) -> JobView:
        if job.state is JobState.QUEUED:
            return JobView(job, position=self._queue(job.slot).index(job) + 1)
        return JobView(job, remaining_s=self._watcher.remaining_s(job) if job.state is JobState.RUNNING else None)

    def _queue(self, slot: str) -> list[Job]:
        waiting = [job for job in self._records.all() if job.slot == slot and job.state is JobState.QUEUED]
        return sorted(waiting, key=lambda job: job.order)

    def _job(self, job_id: str) -> Job:
        job = self._records.get(job_id)
        if job is None:
            raise NotFound(Message("quantize.job.unknown", {"id": job_id}))
        return job


def _refuse(messages: Sequence[Message]) -> None:
    """Raises InvalidInput with those that keep a job from starting."""
    if errors := [message for message in messages if message.level == "error"]:
        raise InvalidInput(*errors)
