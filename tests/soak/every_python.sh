#!/bin/sh
# Soaks each Python for its share of the time: FOLDER SECONDS SEED CELL PYTHON...
# FOLDER is for their environments; CELL is a number, a range, or "" for cells at random.
folder=$1 seconds=$2 seed=$3 cell=$4
shift 4
pythons="" count=0 failed=""
for python in "$@"; do
  case $python in
    */*) found=$python ;;
    *) found=$folder/$python/bin/python
       base=$(tests/find_python.sh "$python") || { echo "Python $python was not found"; continue; }
       { [ -x "$found" ] || "$base" -m venv "$folder/$python"; } &&
         "$found" -m pip install --quiet --disable-pip-version-check --editable '.[test]' || exit 1 ;;
  esac
  pythons="$pythons $found" count=$((count + 1))
done
[ "$count" -gt 0 ] || exit 1
for python in $pythons; do
  "$python" -m tests.soak --seconds $((seconds / count)) --seed "$seed" ${cell:+--cell "$cell"} ||
    failed="$failed $python"
done
[ -z "$failed" ] || { echo "failed on:$failed"; exit 1; }
