# Sourced, not run: tells uv where packages come from, as pip was told by its environment or its configuration files.
# What was said to uv itself wins. Nothing here names a place.
# shellcheck shell=bash
said=$("${PYTHON_WITH_PIP:-.venv/bin/python}" -m pip config list 2>/dev/null || true) # `config get` misses some files
said_to_pip() { printf '%s\n' "$said" | sed -n "s/^global\.$1='\(.*\)'\$/\1/p" | tail -n 1; }

links=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-$(said_to_pip find-links)}}
links=$(printf '%s' "${links//\\n/ }" | tr -s ', \n' ',') # pip parts them by blanks, uv by commas
index=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-${PIP_INDEX_URL:-$(said_to_pip index-url)}}}
cert=${SSL_CERT_FILE:-${PIP_CERT:-$(said_to_pip cert)}}
[ -z "$links" ] || export UV_FIND_LINKS="$links"
[ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
[ -z "$cert" ] || export SSL_CERT_FILE="$cert"
