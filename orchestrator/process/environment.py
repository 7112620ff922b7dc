"""Decides what a command does with each environment variable that it inherits, and how many CPUs it may use."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import fsl_core
from fsl_core.code_digest import code_digest
from fsl_core.training.arithmetic import refuse_other_arithmetic
from orchestrator.errors import InheritedError
from orchestrator.process.cgroup import cpu_limit

Decision = Literal["used", "recorded", "refused", "neutralised"]


@dataclass(frozen=True)
class Inherited:
    """The decision on a variable, or on a family of variables (``*``), and its reason.

    ``used``: it takes effect. ``recorded``: it takes effect and changes the last bits, so each trial's ``execution.json`` holds it.
    ``refused``: a command does not start under a value that falsifies numbers. ``neutralised``: it affects neither a command nor
    the processes that the command starts.
    """

    name: str
    decision: Decision
    why: str


INHERITED = (
    Inherited("FSL_DATA_ROOT", "used", "the data root where no --data-root is given"),
    Inherited("FSL_RUNS_ROOT", "used", "the runs root where no --runs-root is given"),
    Inherited("FSL_DEBUG", "used", "1 shows the traceback of an internal error on the terminal"),
    Inherited("MLFLOW_TRACKING_URI", "used", "the MLflow store where no --tracking-uri is given"),
    Inherited("MLFLOW_TRACKING_*", "used", "how to sign in to a tracking server: name, password, token, certificates"),
    Inherited("MLFLOW_HTTP_REQUEST_*", "used", "retries and timeouts of requests to a tracking server"),
    Inherited("MLFLOW_S3_*", "used", "the S3 server on which a tracking server keeps its artifacts"),
    Inherited("MLFLOW_MYSQL_SSL_*", "used", "the certificates for a store in MySQL"),
    Inherited("AWS_*", "used", "the credentials for artifacts on S3"),
    Inherited("MLFLOW_*", "neutralised", "the settings of another run, experiment or store would change where and how we log"),
    Inherited("_MLFLOW_*", "neutralised", "as MLFLOW_*"),
    Inherited("RAY_ADDRESS", "used", "the Ray cluster where no --address is given"),
    Inherited("RAY_memory_usage_threshold", "used", "the share of the memory above which a local Ray ends workers"),
    Inherited("RAY_memory_monitor_refresh_ms", "used", "how often a local Ray checks the memory"),
    Inherited("RAY_raylet_start_wait_time_s", "used", "how long a local Ray may take to start"),
    Inherited(
        "RAY_worker_niceness", "used", "the niceness of a local Ray's workers: 15 if unset, so that other programs come first"
    ),
    Inherited(
        "RAY_*", "neutralised", "a local Ray ignores other clusters' addresses, tokens and settings; with --address they count"
    ),
    Inherited("TUNE_*", "neutralised", "as RAY_*"),
    Inherited("HTTP_PROXY", "used", "downloads; requests to a server on this machine bypass it"),
    Inherited("CUDA_VISIBLE_DEVICES", "used", "the GPUs that trials may use"),
    Inherited("PYTORCH_CUDA_ALLOC_CONF", "used", "how torch keeps GPU memory; it changes no number"),
    Inherited("TORCHINDUCTOR_CACHE_DIR", "used", "where compiled code is kept; compiled/ under the runs root if unset"),
    Inherited("TORCHINDUCTOR_*", "neutralised", "compiled code with other settings has other bits; its settings are fixed"),
    Inherited("TORCHDYNAMO_*", "neutralised", "as TORCHINDUCTOR_*"),
    Inherited("TORCH_COMPILE_*", "neutralised", "as TORCHINDUCTOR_*"),
    Inherited("NUMBA_CACHE_DIR", "used", "where compiled loops are kept; in the package, or in the user's cache, if unset"),
    Inherited("NUMBA_*", "neutralised", "as TORCHINDUCTOR_*, for compiled loops"),
    Inherited(
        "TRITON_CACHE_DIR", "used", "where kernels that were compiled for a GPU are kept; beside the other compiled code if unset"
    ),
    Inherited("SLURM_CPUS_ON_NODE", "used", "no more trials run at once than the job has CPUs"),
    Inherited("TMPDIR", "used", "Ray's sockets and logs, if short enough; the file of an internal error's traceback"),
    Inherited("HOME", "used", "what ~ means in the folders of options, variables and sweep files"),
    Inherited("COLUMNS", "used", "the width of the live view, where it is a number above 0"),
    Inherited("LINES", "used", "the height of the live view, where it is a number above 0"),
    Inherited("NO_COLOR", "used", "the live view has no colours"),
    Inherited("TERM", "used", "dumb: one line per event in place of the live view"),
    Inherited("LANG", "used", "the encoding of the terminal and of file names; text in files is UTF-8 under every locale"),
    Inherited("LC_ALL", "used", "as LANG"),
    Inherited("GIT_CONFIG_GLOBAL", "used", "the user's settings of git, such as safe.directory"),
    Inherited(
        "PYTHONPATH", "refused", "no entry may be empty or ., the current folder, and the two packages must come from one place"
    ),
    Inherited("CUBLAS_WORKSPACE_CONFIG", "refused", "values other than :16:8 and :4096:8 make CUDA differ from run to run"),
    Inherited(
        "NVIDIA_TF32_OVERRIDE", "refused", "1 computes float32 with 10 bits on CUDA; any value where a recipe asks for TF32"
    ),
    Inherited("DNNL_DEFAULT_FPMATH_MODE", "refused", "BF16 and others compute float32 with fewer bits on the CPU"),
    Inherited("ONEDNN_DEFAULT_FPMATH_MODE", "refused", "as DNNL_DEFAULT_FPMATH_MODE"),
    Inherited("ATEN_CPU_CAPABILITY", "recorded", "which instructions torch uses; the last bits differ, as on another processor"),
    Inherited("DNNL_MAX_CPU_ISA", "recorded", "as ATEN_CPU_CAPABILITY, for convolutions"),
    Inherited("ONEDNN_MAX_CPU_ISA", "recorded", "as DNNL_MAX_CPU_ISA"),
    Inherited("MKL_CBWR", "recorded", "as ATEN_CPU_CAPABILITY, for matrix products"),
    Inherited("MKL_ENABLE_INSTRUCTIONS", "recorded", "as MKL_CBWR"),
    Inherited("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "neutralised", "a recipe says whether a trial multiplies in TF32"),
    Inherited("OMP_*", "neutralised", "a trial's execution path says how many threads it has"),
    Inherited("MKL_NUM_THREADS", "neutralised", "as OMP_*"),
    Inherited("MKL_DYNAMIC", "neutralised", "as OMP_*"),
    Inherited("OPENBLAS_*", "neutralised", "as OMP_*"),
    Inherited("GIT_*", "neutralised", "a hook's GIT_DIR would record a stranger's commit"),
    Inherited("MPLBACKEND", "neutralised", "a notebook's backend cannot draw here"),
    Inherited("PYTHONHASHSEED", "neutralised", "nothing depends on the order of a set"),
    Inherited("PYTHONOPTIMIZE", "neutralised", "no check is an assert"),
    Inherited("PYTHONSAFEPATH", "neutralised", "nothing is imported from the current folder in any case"),
    Inherited("PYTHONWARNINGS", "neutralised", "error would end a command at a library's warning"),
    Inherited("PYTHONIOENCODING", "neutralised", "characters that a terminal lacks are written in ASCII; logs are UTF-8"),
    Inherited("FORCE_COLOR", "neutralised", "a live view belongs on a terminal, not in a log"),
    Inherited("CLICOLOR_FORCE", "neutralised", "as FORCE_COLOR"),
    Inherited("TTY_COMPATIBLE", "neutralised", "as FORCE_COLOR"),
    Inherited("TTY_INTERACTIVE", "neutralised", "as FORCE_COLOR"),
)
"""A variable that is not listed has no effect, or the one that its library documents. A variable's own row overrides its family's."""

_REMOVED = ("MPLBACKEND", "PYTHONWARNINGS", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
_SILENCED = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # as Python does by itself


def settle(environ: MutableMapping[str, str] = os.environ) -> None:
    """Apply the decisions to this process and to those that it starts. Call it before anything else.

    Raises:
        ExecutionPathError: a variable changes the arithmetic.
        InheritedError: PYTHONPATH mixes two installations or names the current folder, or that folder no longer exists.
    """
    refuse_other_arithmetic(environ)
    _refuse_missing_folder()
    _refuse_current_folder(environ.get("PYTHONPATH", ""))
    _refuse_two_installations()
    code_digest()  # now: the files may change while a command runs, the imported code does not
    if environ.get("PYTHONWARNINGS"):
        warnings.resetwarnings()
        for category in _SILENCED:
            warnings.simplefilter("ignore", category)
    sizes = [name for name in ("COLUMNS", "LINES") if not environ.get(name, "").strip("0").isdecimal()]
    families = [
        name
        for name in environ
        if name.lstrip("_").startswith(("MLFLOW_", "TORCHINDUCTOR_", "TORCHDYNAMO_", "TORCH_COMPILE_", "NUMBA_"))
        and decision_on(name) == "neutralised"
    ]
    for name in (*_REMOVED, *sizes, *families):
        environ.pop(name, None)
    environ["PYTHONIOENCODING"] = "utf-8:backslashreplace"  # for child processes: Python has read its own


def decision_on(name: str) -> Decision | None:
    """The decision on a variable; None where there is none."""
    rows = {row.name: row.decision for row in INHERITED}
    families = (decision for pattern, decision in rows.items() if fnmatchcase(name, pattern))
    return rows[name] if name in rows else next(families, None)


def usable_cpus(environ: Mapping[str, str] = os.environ) -> int:
    """The number of CPUs that this process may keep busy, at least 1: bounded by its affinity, control groups and batch system.

    Fractions are rounded down: trials that share a CPU wait for each other.
    """
    bounds = [_affine_cpus()]
    limit = cpu_limit()
    if limit is not None:
        bounds.append(int(limit))
    if environ.get("SLURM_CPUS_ON_NODE", "").isdecimal():
        bounds.append(int(environ["SLURM_CPUS_ON_NODE"]))
    return max(1, min(bounds))


def _affine_cpus() -> int:
    """The number of CPUs that the process is bound to; all of the machine's where the system has no affinity."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _refuse_missing_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise InheritedError(f"the current folder no longer exists ({error.strerror}); change to another one") from error


def _refuse_current_folder(pythonpath: str) -> None:
    """Refuses an empty entry, such as ``$PYTHONPATH:/x`` where it is unset: imports would search the current folder first."""
    if pythonpath and any(entry in ("", ".") for entry in pythonpath.split(os.pathsep)):
        raise InheritedError(
            f"PYTHONPATH is {pythonpath!r}, and an empty entry or . is the current folder, whose files would be imported ahead of the "
            "libraries; write PYTHONPATH=${PYTHONPATH:+$PYTHONPATH:}/folder"
        )


def _refuse_two_installations() -> None:
    here = Path(__file__).resolve().parents[2]
    elsewhere = {str(Path(folder).resolve().parent) for folder in fsl_core.__path__} - {str(here)}
    if elsewhere:
        found = ", ".join(sorted(elsewhere))
        raise InheritedError(f"orchestrator comes from {here}, but fsl_core from {found}; unset PYTHONPATH")
