"""One lock for everything that is shared for an instant: who has a state, which types a cache knows.

It is never held while vectors are computed.  A fork waits for it, so that a child process never inherits it held by a
thread that the child does not have.
"""

from __future__ import annotations

import os
import threading

BRIEFLY = threading.Lock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=BRIEFLY.acquire, after_in_parent=BRIEFLY.release, after_in_child=BRIEFLY.release)
