"""Where a command reads and writes: an option before the environment before the sweep file before the default."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.sweep.folder import check_folder
from orchestrator.sweep.spec import SweepSpec
from orchestrator.sweep.tracking_address import TrackingAddress
from orchestrator.tracking.tracking_uri import default_address


@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    """The places that an option or the environment gives; None where neither does."""

    data_root: Path | None = None
    runs_root: Path | None = None
    results_root: Path | None = None
    tracking_uri: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a command reads and writes. ``data_root`` None means that only a download or prepared data can serve."""

    data_root: Path | None
    runs_root: Path
    results_root: Path
    tracking: TrackingAddress

    @staticmethod
    def resolve(options: PlaceOptions, spec: SweepSpec | None = None) -> Places:
        """Fill in what the options leave open: from the sweep file, then with the defaults. Paths are absolute.

        Raises:
            FolderError: the runs root or the data root is no folder.
        """
        named = PlaceOptions() if spec is None else _named_by(spec)
        runs = (options.runs_root or named.runs_root or Path("runs")).absolute()
        data = options.data_root or named.data_root
        address = options.tracking_uri or named.tracking_uri
        check_folder(runs, "runs root")
        if data is not None:
            check_folder(data.absolute(), "data root")
        return Places(
            data_root=None if data is None else data.absolute(),
            runs_root=runs,
            results_root=(options.results_root or named.results_root or Path("results")).absolute(),
            tracking=TrackingAddress(address) if address else default_address(runs),
        )

    def check_writable(self, finished: str | None = None) -> None:
        """Raises FolderError where the runs root cannot be written to, nor the results root's folder of the sweep ``finished``."""
        check_folder(self.runs_root, "runs root", for_writing=True)
        if finished is not None:
            check_folder(self.results_root / finished, "folder of finished tables", for_writing=True)

    @property
    def cache_root(self) -> Path:
        """Where prepared data sets lie."""
        return self.runs_root / "data"


def _named_by(spec: SweepSpec) -> PlaceOptions:
    """The places that a sweep file names."""
    return PlaceOptions(
        data_root=Path(spec.data_root) if spec.data_root else None,
        runs_root=Path(spec.runs_root) if spec.runs_root else None,
        results_root=Path(spec.results_root) if spec.results_root else None,
        tracking_uri=spec.tracking_uri,
    )
