"""The jobs: checked, queued one at a time for each GPU, run, followed, found again after a restart."""

import logging
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.engines.base import Machine
from backend.errors import Conflict, ConsoleError, InvalidInput, Message, NotFound
from backend.models.catalog import Catalog
from backend.processes.command import CommandSpec
from backend.processes.log_file import read_chunk
from backend.processes.supervisor import Run, Supervisor
from backend.quantization import around, checks, ending, follow_up, planning, sizes
from backend.quantization.base import CPU, Diagnosis, GpuUser, QuantConfig, Steps
from backend.quantization.job import UNFINISHED, Job, JobState, JobView, job_from_json
from backend.quantization.plan_file import PLAN, WORKER, write_plan
from backend.quantization.planning import JobPreview, Subject
from backend.quantization.progress import Expected, Progress, advance, complete_lines, is_counting, remaining_seconds
from backend.quantization.texts import KeptTexts
from backend.quantization.token_count import TokenCounter
from backend.settings import Settings
from backend.store import Store

AREA = "job"
KIND = "quantize"
COMPARE_KIND = "quantize-compare"
PERPLEXITY_KIND = "quantize-perplexity"
CANCEL_GRACE_S = 1.2
_REFRESH_S = 0.2
_CHUNK_BYTES = 1 << 20

log = logging.getLogger(__name__)


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
        gpu_users: around.GpuUsers = nobody,
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._catalog = catalog
        self._machine_of = machine_of
        self._gpu_users = gpu_users
        self._folder = settings.state_dir / "jobs"
        self.texts = KeptTexts(settings.state_dir / "calibration")
        self._tokens = TokenCounter()
        self._lock = threading.RLock()
        self._start_lock = threading.Lock()
        self._version = 1
        self._offsets: dict[str, int] = {}
        self._gpu_peaks: dict[str, int] = {}
        self._counting_since: dict[str, tuple[float, float]] = {}
        self._refreshed = 0.0
        self._jobs = self._load()
        supervisor.on_change(self._run_changed)
        with self._lock:
            for job in list(self._jobs.values()):
                self._look_at(job)
            self._advance()

    # What the form shows and starts

    def preview(self, config: QuantConfig, *, network: bool = False) -> JobPreview:
        """The commands that ``start`` would run, and everything wrong or worth knowing. Starts nothing.

        ``network`` also asks whether a dataset that isn't here can be downloaded, which takes seconds. The tokens of a
        text are checked where ``count_tokens`` has counted them.
        """
        machine = self._machine_of()
        try:
            subject = planning.find_subject(config, self._catalog, self.texts, machine)
        except ConsoleError as error:
            return JobPreview("", error.messages)
        tokens = self._known_tokens(config, subject)
        seen = around.look(config, machine, self._gpu_users, tokens, network=network)
        method, model, tensors = subject.method, subject.model, subject.tensors
        messages = method.check(config, model, tensors, machine, subject.environment, seen)
        command = planning.steps(config, subject).preview() if config.output.strip() else ""
        return JobPreview(
            command,
            (*messages, *self._same_output(config)),
            subject.environment,
            sum(sizes.sizes(tensors).values()) or None,
            sizes.quantized_bytes(tensors, config.bits, config.group_size) or None,
        )

    def count_tokens(self, config: QuantConfig) -> int | None:
        """The tokens of the calibration text, by the model's own tokenizer in a child; None where there is no text.

        Takes seconds the first time. Raises InvalidInput where model, text or tokenizer can't be used.
        """
        subject = planning.find_subject(config, self._catalog, self.texts, self._machine_of())
        if subject.text is None or subject.environment is None or subject.environment.problem is not None:
            return None
        trust = config.trust_remote_code
        return self._tokens.count(subject.model, subject.text, subject.environment, trust)

    def start(self, config: QuantConfig) -> str:
        """Check everything, queue the job, and run it when its device is free. The job's id.

        Takes seconds where a text must be counted or a dataset looked for. Raises InvalidInput, Conflict or Unavailable
        with everything that is wrong; then nothing was started or written.
        """
        with self._start_lock:
            # What can be seen at once comes first: counting tokens of a text for a model that is refused is in vain.
            if errors := self.preview(config).errors:
                raise InvalidInput(*errors)
            self.count_tokens(config)
            if errors := self.preview(config, network=True).errors:
                raise InvalidInput(*errors)
            subject = planning.find_subject(config, self._catalog, self.texts, self._machine_of())
            if subject.environment is None:
                raise InvalidInput(Message("quantize.environment.none", field="quantize-model"))
            job = self._make(config, subject, planning.steps(config, subject))
            with self._lock:
                if taken := self._same_output(config):
                    raise Conflict(*taken)
                self._save(job)
                self._advance()
        self.texts.forget_others({job.config.text for job in self._jobs.values()})
        return job.id

    def restart(self, job_id: str, changes: Mapping[str, Any] | None = None) -> str:
        """Start a job again with the same settings but for ``changes``. Raises as ``start``, and NotFound."""
        return self.start(replace(self.get(job_id).job.config, **(changes or {})))

    # What is done with a job

    def cancel(self, job_id: str) -> None:
        """End a running job (its whole process group, within two seconds) or take a waiting one from the queue."""
        with self._lock:
            job = self._job(job_id)
            if job.state is JobState.QUEUED:
                self._save(replace(job, state=JobState.CANCELLED, ended_at=time.time()))
            elif job.state is JobState.RUNNING:
                self._supervisor.stop(job.run_id, grace_s=CANCEL_GRACE_S)
            else:
                raise Conflict(Message("quantize.job.ended", {"name": job.model_name}))

    def move(self, job_id: str, places: int) -> None:
        """Move a waiting job up (negative) or down in its queue."""
        with self._lock:
            job = self._job(job_id)
            if job.state is not JobState.QUEUED:
                raise Conflict(Message("quantize.job.not-waiting", {"name": job.model_name}))
            queue = self._queue(job.slot)
            at = queue.index(job)
            to = max(0, min(len(queue) - 1, at + places))
            queue.insert(to, queue.pop(at))
            for order, waiting in zip(sorted(j.order for j in queue), queue, strict=True):
                self._save(replace(waiting, order=order))

    def forget(self, job_id: str) -> None:
        """Take an ended job from the list, with its log; the model stays. Raises Conflict for one that isn't over."""
        with self._lock:
            job = self._job(job_id)
            if job.state in UNFINISHED:
                raise Conflict(Message("quantize.job.not-ended", {"name": job.model_name}))
            for run_id in filter(None, (job.run_id, job.follow_up, job.perplexity_run)):
                with suppress(NotFound):
                    self._supervisor.forget(run_id)
            shutil.rmtree(self._folder / job_id, ignore_errors=True)
            self._store.delete(AREA, job_id)
            del self._jobs[job_id]
            self._version += 1

    def measure_perplexity(self, job_id: str) -> None:
        """Measure a finished result's perplexity against the original's, when its GPU is free.

        Raises InvalidInput where there is nothing to measure, or no GPU to do it with.
        """
        with self._lock:
            job = self._job(job_id)
            result = follow_up.check_perplexity(job)
            self._save(replace(job, result=replace(result, perplexity_state="queued", perplexity_problem=None)))
            self._advance()

    def note_gpu_memory(self, used: Mapping[str, int]) -> None:
        """Bytes of GPU memory that jobs hold now, by id: for the peak of a job whose log doesn't tell it (no data)."""
        with self._lock:
            for job_id, used_bytes in used.items():
                if job_id in self._jobs and self._jobs[job_id].state is JobState.RUNNING:
                    self._gpu_peaks[job_id] = max(used_bytes, self._gpu_peaks.get(job_id, 0))

    # What pages poll

    @property
    def version(self) -> int:
        """Grows with every change that a page would show, progress included."""
        self._refresh()
        with self._lock:
            return self._version

    def get(self, job_id: str) -> JobView:
        """One job as it is now. Raises NotFound."""
        self._refresh()
        with self._lock:
            return self._view(self._job(job_id))

    def snapshot(self) -> tuple[JobView, ...]:
        """Every job as it is now: those that run, those that wait in their order, those that ended, newest first."""
        self._refresh()
        ranks = {JobState.RUNNING: 0, JobState.QUEUED: 1}
        with self._lock:
            jobs = sorted(
                self._jobs.values(),
                key=lambda job: (ranks.get(job.state, 2), job.order if job.state in ranks else -job.ended_at),
            )
            return tuple(self._view(job) for job in jobs)

    # Inside

    def _make(self, config: QuantConfig, subject: Subject, steps: Steps) -> Job:
        """A new job, its plan written down for the worker."""
        assert subject.environment is not None
        job_id = secrets.token_hex(6)
        matrices = sizes.shape(subject.tensors)
        tower = subject.method.through_text_tower(subject.model)
        job = Job(
            id=job_id,
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
            expected=Expected(matrices.layers, len(matrices.linears), config.calibrated, tower),
            before=sizes.sizes(subject.tensors),
        )
        folder = self._folder / job_id
        folder.mkdir(mode=0o700, parents=True)
        write_plan(job, steps, folder)
        return job

    def _known_tokens(self, config: QuantConfig, subject: Subject) -> int | None:
        if subject.text is None or subject.environment is None:
            return None
        return self._tokens.known(subject.model, subject.text, subject.environment, config.trust_remote_code)

    def _same_output(self, config: QuantConfig) -> tuple[Message, ...]:
        """An unfinished job that writes to the same folder."""
        if not config.output.strip():
            return ()
        output = str(checks.output_path(config))
        with self._lock:
            taken = any(job.state in UNFINISHED and job.output == output for job in self._jobs.values())
        return (Message("quantize.output.taken", {"path": output}, "quantize-output"),) if taken else ()

    def _advance(self) -> None:
        """Start the next job of every device that is free."""
        jobs = self._jobs.values()
        busy = {job.slot for job in jobs if job.state is JobState.RUNNING or _measures(job, "running")}
        waiting = {job.slot for job in jobs if job.state is JobState.QUEUED or _measures(job, "queued")}
        for slot in waiting - busy:
            # Measuring takes a minute or two and belongs to what is done: it comes first.
            measured = [job for job in self._jobs.values() if job.slot == slot and _measures(job, "queued")]
            if any(self._launch_perplexity(job) for job in measured):
                continue
            for job in self._queue(slot):
                if self._launch(job):
                    break

    def _launch(self, job: Job) -> bool:
        """Start the worker. A job that can't be started any more fails, with the reason."""
        blocked = around.in_the_way(Path(job.output), job.config.method)
        try:
            if blocked:
                params = {"path": job.output, "parent": str(Path(job.output).parent), "partial": job.partial}
                raise InvalidInput(Message(f"quantize.output.{blocked}", params, "quantize-output"))
            spec = CommandSpec((job.python, str(WORKER), str(self._folder / job.id / PLAN)))
            started = replace(job, state=JobState.RUNNING, started_at=time.time(), run_id=secrets.token_hex(6))
            self._save(started)
            self._supervisor.start(
                spec, kind=KIND, name=job.model_name, run_id=started.run_id, about={"job": started.to_json()}
            )
        except ConsoleError as error:
            failed = Diagnosis(error.messages[0])
            self._save(replace(job, state=JobState.FAILED, ended_at=time.time(), diagnosis=failed))
            return False
        return True

    def _run_changed(self, run: Run) -> None:
        """The supervisor's word that a run changed."""
        if run.kind not in (KIND, COMPARE_KIND, PERPLEXITY_KIND) or not run.ended:
            return
        with self._lock:
            for job in list(self._jobs.values()):
                if run.id in (job.run_id, job.follow_up, job.perplexity_run):
                    self._look_at(job)
            self._advance()

    def _look_at(self, job: Job) -> None:
        """Take note of runs that ended."""
        if job.state is JobState.RUNNING and (run := self._ended(job.run_id)) is not None:
            job = self._settle(job, run)
            self._save(job)
        folder = self._folder / job.id
        if job.result is not None and job.result.errors_state == "running" and self._ended(job.follow_up) is not None:
            job = follow_up.with_errors(job, folder)
            self._save(job)
        if _measures(job, "running") and (measured := self._ended(job.perplexity_run)) is not None:
            self._save(follow_up.with_perplexity(job, folder, ending.last_line(measured)))

    def _ended(self, run_id: str) -> Run | None:
        """The run if it is over; a run that is gone altogether counts as interrupted."""
        try:
            run = self._supervisor.get(run_id)
        except NotFound:
            return ending.lost(run_id)
        return run if run.ended else None

    def _settle(self, job: Job, run: Run) -> Job:
        """The job after its run's end: its true state, no leftovers, and what comes next."""
        job = ending.settled(self._read_log(job), run, self._gpu_peaks.pop(job.id, 0))
        return self._compare(job) if job.state is JobState.SUCCEEDED else job

    def _compare(self, job: Job) -> Job:
        """Start the comparison of the 4-bit weights with the originals; the model can be used meanwhile."""
        assert job.result is not None
        spec = follow_up.comparison(job, self._folder / job.id)
        try:
            run = self._supervisor.start(spec, kind=COMPARE_KIND, name=job.model_name, about={"of": job.id})
        except ConsoleError as error:
            log.warning("the comparison of %s can't be started: %s", job.output, error)
            return replace(job, result=replace(job.result, errors_state="failed"))
        return replace(job, follow_up=run.id, result=replace(job.result, errors_state="running"))

    def _launch_perplexity(self, job: Job) -> bool:
        """Start the measurement of a finished job's perplexity."""
        assert job.result is not None
        try:
            spec = follow_up.perplexity_command(job, self._machine_of(), self._folder / job.id, sys.executable)
            run = self._supervisor.start(spec, kind=PERPLEXITY_KIND, name=job.model_name, about={"of": job.id})
        except ConsoleError as error:
            result = replace(job.result, perplexity_state="failed", perplexity_problem=error.messages[0])
            self._save(replace(job, result=result))
            return False
        self._save(replace(job, perplexity_run=run.id, result=replace(job.result, perplexity_state="running")))
        return True

    def _refresh(self) -> None:
        """Read what running jobs have written since the last look."""
        with self._lock:
            now = time.monotonic()
            if now - self._refreshed < _REFRESH_S:
                return
            self._refreshed = now
            for job in list(self._jobs.values()):
                if job.state is JobState.RUNNING and (after := self._read_log(job)) is not job:
                    self._jobs[job.id] = after
                    self._version += 1

    def _read_log(self, job: Job) -> Job:
        """The job with its progress as far as its log goes; the very same object where nothing is new."""
        try:
            path = self._supervisor.get(job.run_id).log_path
        except NotFound:
            return job
        offset = self._offsets.get(job.id, 0)
        progress = job.progress if offset else Progress()
        while True:
            try:
                chunk = read_chunk(path, offset, _CHUNK_BYTES)
            except NotFound:
                break
            lines = complete_lines(chunk.text)
            if not lines:
                break
            progress = advance(progress, lines, job.expected)
            offset += len(lines.encode()) if "\ufffd" not in lines else chunk.next_offset - chunk.offset
        self._offsets[job.id] = offset
        return job if progress == job.progress else replace(job, progress=progress)

    def _view(self, job: Job) -> JobView:
        if job.state is JobState.QUEUED:
            return JobView(job, position=self._queue(job.slot).index(job) + 1)
        remaining = None
        if job.state is JobState.RUNNING and is_counting(job.progress):
            now, fraction = time.monotonic(), job.progress.fraction
            remaining = remaining_seconds(self._counting_since.setdefault(job.id, (now, fraction)), fraction, now)
        return JobView(job, remaining_s=remaining)

    def _queue(self, slot: str) -> list[Job]:
        waiting = [job for job in self._jobs.values() if job.slot == slot and job.state is JobState.QUEUED]
        return sorted(waiting, key=lambda job: job.order)

    def _job(self, job_id: str) -> Job:
        try:
            return self._jobs[job_id]
        except KeyError:
            raise NotFound(Message("quantize.job.unknown", {"id": job_id})) from None

    def _save(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._version += 1
        self._store.put_json(AREA, job.id, job.to_json())

    def _load(self) -> dict[str, Job]:
        """The jobs of the store, and those whose documents it lost but whose runs are there."""
        found: dict[str, Job] = {}
        documents = {
            run.about["job"]["id"]: run.about["job"] for run in self._supervisor.all(KIND) if "job" in run.about
        }
        documents |= self._store.all(AREA)
        for key, value in documents.items():
            try:
                found[key] = job_from_json(value)
            except (KeyError, TypeError, ValueError):
                log.warning("job %s can't be read and is left out", key)
        return found


def _measures(job: Job, state: str) -> bool:
    """Whether the job's perplexity is in that state."""
    return job.result is not None and job.result.perplexity_state == state
