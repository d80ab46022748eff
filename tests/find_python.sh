#!/bin/sh
# Prints the path of Python $1 (such as 3.12): the one on the PATH, else pyenv's. Fails if there is none.
for candidate in "$(command -v "python$1")" \
    "$(command -v pyenv >/dev/null && echo "$(pyenv prefix "$(pyenv latest "$1" 2>/dev/null)" 2>/dev/null)/bin/python")"; do
  # Asked, because pyenv's shims are on the PATH also where the version they stand for is not chosen.
  version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
  if [ "$version" = "$1" ]; then
    echo "$candidate"
    exit 0
  fi
done
exit 1
