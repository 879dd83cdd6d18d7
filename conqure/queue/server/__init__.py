"""The service: the cloud queue over HTTP (docs/queue-api.md), two doors to the same works.

```
works, device_side, devices, people ─┐                        ┌─ orders   what users do with works
aws, aws_tokens ─────────────────────┼─ who: Actor, rights ───┼─ handouts what devices do with works
transfer, web ───────────────────────┘                        └─ logins   passwords to tokens
                                                    Service: store, accounts, tokens, notices, limits, metrics
```
"""
