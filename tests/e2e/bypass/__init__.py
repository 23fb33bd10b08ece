"""The bypass search: every operation of the protocol, asked by everybody who must not get in.

The requests come from botocore's models, the signatures from a signer of this folder's own, and
what must happen from a table written down after AWS's documentation. Nothing here is read from
Coffer. See docs/design/bypass.md.

| module | concept |
|---|---|
| `request` | a request as bytes, and as the curl command that sends it |
| `wire` | sending it, and nothing else |
| `signing` | Signature Version 4, with every part open to tampering |
| `operations` | a minimal valid request for every operation of a model |
| `permissions` | what AWS demands for each |
| `expected` | which refusal is the right one |
| `intruders` | callers whose credentials are not worth anything |
| `policies` | callers with good credentials whom a policy keeps out |
| `tricks`, `tricks_people` | requests that no SDK sends, to S3, and to IAM and STS |
| `scene` | the store that they attack, and its state |
| `people` | its users, groups, roles and policies |
| `search` | the matrix: who was let in |
"""
