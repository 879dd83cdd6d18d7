"""`TinyStore`: works of one person in files, through TinyDB; nothing to install, nothing to start.

```
FOLDER/works.json            the records: a table of TinyDB, replaced as a whole by each change
FOLDER/payloads/ab/ab12…     what was handed in and what came back, by the hash of its bytes
FOLDER/lock                  who holds its lock may change something
```

**On a network home directory** it is safe where the file system has locks that hold between machines and replaces
files atomically: NFS version 4, Lustre mounted with ``flock``, GPFS, CephFS, BeeGFS with its locks switched on. On NFS
mounted with ``nolock`` or ``local_lock`` it is not; there, use it from one machine at a time.
"""

from .store import CEILING, TinyStore

__all__ = ["CEILING", "TinyStore"]
