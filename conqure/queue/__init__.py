"""The cloud queue: works that are accepted at once, kept for good, run in their turn and fetched later (docs/queue.md).

```
UserClient ──┬── embedded ──────────────── Store ── Dispatcher ── pool
             └── HTTP ── server (REST) ────┘   └─── server ── device client (a lab's control computer)
```
"""
