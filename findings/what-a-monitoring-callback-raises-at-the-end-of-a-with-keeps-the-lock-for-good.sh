#!/usr/bin/env bash
# CPython 3.12 to 3.15: the end of `with lock:` calls the lock's __exit__, which is a CALL event of sys.monitoring. What
# the callback raises there, an interrupt that Python delivers in it for one, leaves the block before the call is made
# and where no handler of the block applies any more: the lock stays locked. Without a tool nothing is raised there.
# Seen with 3.12.1, 3.13.0, 3.14.10, 3.15.2. Every python3.12 to 3.15 on the PATH is asked; at least one is needed.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
cat > "$dir/ask.py" <<'PY'
import sys, threading

TOOL, CALL = 3, sys.monitoring.events.CALL

def end_of(method):
    lock = threading.Lock()

    def raising(code, offset, called, argument):
        if getattr(called, "__name__", "") == method:
            raise KeyboardInterrupt

    def body():
        with lock:
            len("")

    sys.monitoring.use_tool_id(TOOL, "raising")
    sys.monitoring.register_callback(TOOL, CALL, raising)
    sys.monitoring.set_local_events(TOOL, body.__code__, CALL)
    try:
        body()
    except KeyboardInterrupt:
        return "locked" if lock.locked() else "let go"
    finally:
        sys.monitoring.set_local_events(TOOL, body.__code__, 0)
        sys.monitoring.free_tool_id(TOOL)

print("raised inside the block:", end_of("len"), "| raised at its end:", end_of("__exit__"))
PY
asked=0
for python in python3 python3.12 python3.13 python3.14 python3.15; do
  minor=$("$python" -c 'import sys; print(sys.version_info.minor)' 2>/dev/null) || continue
  [ "$minor" -ge 12 ] || continue
  seen=$("$python" "$dir/ask.py")
  echo "3.$minor: $seen"
  [ "$seen" = "raised inside the block: let go | raised at its end: locked" ]
  asked=$((asked + 1))
done
[ "$asked" -gt 0 ] || { echo "no Python 3.12 or later on the PATH"; exit 1; }
