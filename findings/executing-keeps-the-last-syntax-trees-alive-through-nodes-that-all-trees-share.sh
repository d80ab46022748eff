#!/usr/bin/env bash
# executing 2.2.0, 2.3.0 (what IPython's tracebacks look lines up with; Python 3.11 and 3.13): it tells every node
# of a file's syntax tree its `parent`. CPython's parser makes each operator and context without fields (Load,
# Store, Add, Not ...) one object for all trees of the process, so that the parent set last stays there:
# `ast.parse` of another text gives a Load whose parent is a node of that file, and the file's whole tree lives
# on when every cache of executing has been emptied.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
for version in 2.2.0 2.3.0; do
  python3 -m pip install --quiet --disable-pip-version-check --target "$dir/$version" "executing==$version" 2>/dev/null
  PYTHONPATH="$dir/$version" python3 - <<'PY' | tee -a "$dir/seen"
import ast, gc, weakref, executing, textwrap

source = executing.Source.for_filename(textwrap.__file__)
tree = weakref.ref(source.tree)
nodes = sum(1 for _ in ast.walk(source.tree))
del source
for name in ("__source_cache_with_lines", "__source_cache", "__executing_cache"):
    vars(executing.Source).get(name, {}).clear()
for thing in gc.get_objects():
    if getattr(thing, "cache_clear", None) and str(getattr(thing, "__module__", "")).startswith("executing"):
        thing.cache_clear()
del thing
gc.collect()
load = ast.parse("unrelated").body[0].value.ctx
print(type(load).__name__, "has a parent:", hasattr(load, "parent"))
print("tree of over 1000 nodes alive:", nodes > 1000 and tree() is not None)
for thing in gc.get_objects():
    if isinstance(thing, (ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop)):
        vars(thing).pop("parent", None)
del thing
gc.collect()
print("without those parents:", tree() is not None)
PY
done
diff "$dir/seen" - <<'EXPECTED'
Load has a parent: True
tree of over 1000 nodes alive: True
without those parents: False
Load has a parent: True
tree of over 1000 nodes alive: True
without those parents: False
EXPECTED
