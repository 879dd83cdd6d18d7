"""The folders of a program on the file systems that its jobs see: the keys of their workers, and what they print."""

from __future__ import annotations

import contextlib
from pathlib import Path

from distributed import Security

from qpu_executors import Group, InvalidSite, Site

from .security import write_keys


class Folders:
    """One folder for each shared file system, named by the program's mark; only their user can read them.

    Raises:
        InvalidSite: one cannot be written.
    """

    def __init__(self, mark: str, security: Security) -> None:
        self._mark, self._security = mark, security
        self._keys: dict[Path, dict[str, str]] = {}

    def open(self, site: Site, group: Group) -> None:
        folder = self.of(group)
        if folder in self._keys:
            return
        try:
            folder.mkdir(mode=0o700, parents=True)
            self._keys[folder] = write_keys(self._security, folder)
        except OSError as error:
            raise InvalidSite(
                f"site {site.name!r}: jobs need a folder that all nodes see, and {folder} cannot be written: "
                f"{error.strerror}. Set 'shared' in [slurm] of {site.path or 'the site'}."
            ) from error

    def of(self, group: Group) -> Path:
        return group.shared_folder / self._mark

    def keys(self, group: Group) -> dict[str, str]:
        """How workers of a group prove who they are, as options of `dask worker`."""
        return self._keys[self.of(group)]

    def close(self) -> None:
        """Delete the keys; what jobs have printed stays."""
        for folder, files in self._keys.items():
            for file in files.values():
                if Path(file).parent == folder:
                    Path(file).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()
