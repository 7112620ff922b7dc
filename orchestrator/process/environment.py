"""What a command inherits from the process that starts it, and what becomes of it: every variable is decided on here."""

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
    """A variable, or with ``*`` all of a family, what becomes of it, and what it would do or does.

    ``used``: it counts. ``recorded``: it counts, and stands in each trial's ``execution.json``, because it changes the last bits.
    ``refused``: a command does not start under a value that falsifies numbers. ``neutralised``: it has no effect on a command and on
    the processes that it starts.
    """

    name: str
    decision: Decision
    why: str


INHERITED = (
    Inherited("FSL_DATA_ROOT", "used", "the data root where no --data-root is given"),
    Inherited("FSL_RUNS_ROOT", "used", "the runs root where no --runs-root is given"),
    Inherited("FSL_DEBUG", "used", "1 shows the traceback of an internal error on the terminal"),
    Inherited("MLFLOW_TRACKING_URI", "used", "the MLflow store where no --tracking-uri is given"),
    Inherited("MLFLOW_TRACKING_*", "used", "how a tracking server lets us in: name, password, token, certificates"),
    Inherited("MLFLOW_HTTP_REQUEST_*", "used", "how often and how long a tracking server is asked"),
    Inherited("MLFLOW_S3_*", "used", "the S3 server on which a tracking server keeps its artifacts"),
    Inherited("MLFLOW_MYSQL_SSL_*", "used", "the certificates for a store in MySQL"),
    Inherited("AWS_*", "used", "the credentials for artifacts on S3"),
    Inherited("MLFLOW_*", "neutralised", "another's run, experiment or store setting would change where and how we log"),
    Inherited("_MLFLOW_*", "neutralised", "as MLFLOW_*"),
    Inherited("RAY_ADDRESS", "used", "the Ray cluster where no --address is given"),
    Inherited("RAY_memory_usage_threshold", "used", "the share of the memory above which a local Ray ends workers"),
    Inherited("RAY_memory_monitor_refresh_ms", "used", "how often a local Ray looks at the memory"),
    Inherited("RAY_raylet_start_wait_time_s", "used", "how long a local Ray may take to start"),
    Inherited("RAY_*", "neutralised", "a local Ray has no other's address, token or settings; with --address they count"),
    Inherited("TUNE_*", "neutralised", "as RAY_*"),
    Inherited("HTTP_PROXY", "used", "downloads; a server on this machine is asked past it"),
    Inherited("CUDA_VISIBLE_DEVICES", "used", "the GPUs that trials may use"),
    Inherited("PYTORCH_CUDA_ALLOC_CONF", "used", "how torch keeps GPU memory; it changes no number"),
    Inherited("SLURM_CPUS_ON_NODE", "used", "no more trials run at once than the job has CPUs"),
    Inherited("TMPDIR", "used", "Ray's sockets and logs, if short enough; the file of an internal error's traceback"),
    Inherited("HOME", "used", "what ~ stands for in the folders of options, variables and sweep files"),
    Inherited("COLUMNS", "used", "the width of the live view, where it is a number above 0"),
    Inherited("LINES", "used", "its height, likewise"),
    Inherited("NO_COLOR", "used", "the live view has no colours"),
    Inherited("TERM", "used", "dumb: no live view, but a line an event"),
    Inherited("LANG", "used", "the encoding of the terminal and of file names; text in files is UTF-8 under every locale"),
    Inherited("LC_ALL", "used", "as LANG"),
    Inherited("GIT_CONFIG_GLOBAL", "used", "the user's settings of git, such as safe.directory"),
    Inherited(
        "PYTHONPATH", "refused", "no entry may be empty or ., the current folder, and the two packages must come from one place"
    ),
    Inherited("CUBLAS_WORKSPACE_CONFIG", "refused", "other values than :16:8 and :4096:8 make CUDA differ from run to run"),
    Inherited(
        "NVIDIA_TF32_OVERRIDE", "refused", "1 computes float32 with 10 bits on CUDA; any value where a recipe asks for TF32"
    ),
    Inherited("DNNL_DEFAULT_FPMATH_MODE", "refused", "BF16 and others compute float32 with fewer bits on the CPU"),
    Inherited("ONEDNN_DEFAULT_FPMATH_MODE", "refused", "as DNNL_DEFAULT_FPMATH_MODE"),
    Inherited("ATEN_CPU_CAPABILITY", "recorded", "which instructions torch uses: other last bits, as on another processor"),
    Inherited("DNNL_MAX_CPU_ISA", "recorded", "as ATEN_CPU_CAPABILITY, of convolutions"),
    Inherited("ONEDNN_MAX_CPU_ISA", "recorded", "as DNNL_MAX_CPU_ISA"),
    Inherited("MKL_CBWR", "recorded", "as ATEN_CPU_CAPABILITY, of matrix products"),
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
    Inherited("PYTHONIOENCODING", "neutralised", "what a terminal cannot spell is spelt otherwise; logs are UTF-8"),
    Inherited("FORCE_COLOR", "neutralised", "a live view belongs on a terminal, not in a log"),
    Inherited("CLICOLOR_FORCE", "neutralised", "as FORCE_COLOR"),
    Inherited("TTY_COMPATIBLE", "neutralised", "as FORCE_COLOR"),
    Inherited("TTY_INTERACTIVE", "neutralised", "as FORCE_COLOR"),
)
"""What is not named here has no effect, or that which its own library documents. A family's row yields to a variable's own."""

_REMOVED = ("MPLBACKEND", "PYTHONWARNINGS", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
_SILENCED = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # as Python does by itself


def settle(environ: MutableMapping[str, str] = os.environ) -> None:
    """Act on what this process inherited, for itself and the processes that it starts; to be called before anything else.

    Raises:
        ExecutionPathError: a variable asks for another arithmetic.
        InheritedError: PYTHONPATH mixes two installations or names the current folder, or that folder was removed.
    """
    refuse_other_arithmetic(environ)
    _refuse_no_folder()
    _refuse_current_folder(environ.get("PYTHONPATH", ""))
    _refuse_two_installations()
    code_digest()  # now: the files may change while a command runs, what it imported does not
    if environ.get("PYTHONWARNINGS"):
        warnings.resetwarnings()
        for category in _SILENCED:
            warnings.simplefilter("ignore", category)
    sizes = [name for name in ("COLUMNS", "LINES") if not environ.get(name, "").strip("0").isdecimal()]
    mlflows = [name for name in environ if name.lstrip("_").startswith("MLFLOW_") and decision_on(name) == "neutralised"]
    for name in (*_REMOVED, *sizes, *mlflows):
        environ.pop(name, None)
    environ["PYTHONIOENCODING"] = "utf-8:backslashreplace"  # Python has read it: only what is started from here on will


def decision_on(name: str) -> Decision | None:
    """What becomes of a variable; None for one that nobody here cares about."""
    rows = {row.name: row.decision for row in INHERITED}
    families = (decision for pattern, decision in rows.items() if fnmatchcase(name, pattern))
    return rows[name] if name in rows else next(families, None)


def usable_cpus(environ: Mapping[str, str] = os.environ) -> int:
    """How many CPUs this process may keep busy, at least 1: by its affinity, its control groups and its batch system.

    A part of a CPU counts as none: trials that share one wait for each other.
    """
    bounds = [_affine_cpus()]
    limit = cpu_limit()
    if limit is not None:
        bounds.append(int(limit))
    if environ.get("SLURM_CPUS_ON_NODE", "").isdecimal():
        bounds.append(int(environ["SLURM_CPUS_ON_NODE"]))
    return max(1, min(bounds))


def _affine_cpus() -> int:
    """The CPUs that the scheduler may put this process on; all of the machine's where the system has no such notion."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _refuse_no_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise InheritedError(f"the current folder is gone ({error.strerror}); change to one that is there") from error


def _refuse_current_folder(pythonpath: str) -> None:
    """An empty entry, as of ``PYTHONPATH=$PYTHONPATH:/x`` without a PYTHONPATH, has every import look into the current folder first."""
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
