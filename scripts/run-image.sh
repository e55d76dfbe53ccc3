#!/usr/bin/env bash
# run-image.sh [-e K=V]... [-v HOST:CONTAINER[:ro]]... [--tmpfs DIR[:OPTIONS]]... [--read-only]
# [--user UID[:GID]] IMAGE ARGS...: runs a command of the image, on this machine's network and in the
# foreground. SIGTERM to this process reaches the command, whose exit code is this one's; if this process
# is killed, so is the container.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/engine.sh
. "$repo/scripts/engine.sh"
without_mixed_cgroups "$0" "$@"

name=modelcell-$$
flags=(--rm --name "$name" --network host --log-driver none)
# Not every machine has a systemd, by which podman would call the health check.
flags+=(--no-healthcheck)
while (($# > 0)); do
    case $1 in
        -e | -v | --user | --tmpfs)
            flags+=("$1" "${2:?"$1 needs a value"}")
            shift 2
            ;;
        --read-only)
            flags+=("$1")
            shift
            ;;
        -*) die "run-image.sh does not know $1" ;;
        *) break ;;
    esac
done
image=${1:?"usage: run-image.sh [-e K=V] [-v HOST:CONTAINER[:ro]] [--tmpfs DIR] [--read-only] [--user UID[:GID]] IMAGE ARGS..."}
find_image "$image" || die "no engine here has the image $image (make image)"

if [[ ${engine[0]} == podman ]]; then
    # Not more than this process may have, which not every root may raise.
    files=$(ulimit -Hn)
    flags+=(--ulimit "nofile=$files:$files" --ulimit "nproc=$(most_processes)")
    # Read-only as with docker: no /tmp that can be written.
    flags+=(--read-only-tmpfs=false)
    [[ ! -d $mixed_cgroups ]] || flags+=(--cgroups=disabled)
fi

# The engine's client is not the container's parent, which would go on without it.
(
    trap '' TERM INT
    while kill -0 $$; do sleep 1; done
    "${engine[@]}" kill "$name"
    "${engine[@]}" rm --force "$name"
) >/dev/null 2>&1 </dev/null &
exec "${engine[@]}" run "${flags[@]}" "$@"
