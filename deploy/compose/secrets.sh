#!/usr/bin/env bash
# Refuses the secrets of .env.example, before the database is created with one of them.
set -euo pipefail

refused=()
for name in FERNET_KEY API_SECRET_KEY JWT_SECRET POSTGRES_PASSWORD ADMIN_PASSWORD; do
    case ${!name:-} in
        '' | change-me) refused+=("$name") ;;
    esac
done
[ ${#refused[@]} -eq 0 ] && exit 0

cat >&2 << MESSAGE
Nothing was started: these secrets in .env are missing or still those of .env.example, which everybody knows:
    ${refused[*]}
What to do: remove .env and run
    bash deploy/compose/new-env.sh
which writes a .env with new secrets. Or set them by hand: FERNET_KEY to the output of
    head -c 32 /dev/urandom | base64 | tr +/ -_
and each of the others to the output of
    head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'
MESSAGE
exit 1
