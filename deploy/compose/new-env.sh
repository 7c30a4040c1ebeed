#!/usr/bin/env bash
# Writes .env: a copy of .env.example with new secrets. With the argument `simulator`, .env is for the simulated DRS and
# needs no AWS.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

[ ! -e .env ] || {
    echo '.env exists and is kept: what was encrypted with its FERNET_KEY can be read only with that key.' >&2
    exit 1
}
umask 077
while IFS= read -r line; do
    case $line in
        FERNET_KEY=change-me) line=FERNET_KEY=$(head -c 32 /dev/urandom | base64 | tr +/ -_) ;;
        *=change-me) line=${line%change-me}$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n') ;;
        '#simulator '*) [ "${1:-}" != simulator ] || line=${line#'#simulator '} ;;
    esac
    printf '%s\n' "$line"
done < .env.example > .env
echo "Wrote .env. The password of Airflow's user admin is ADMIN_PASSWORD in it."
