# shellcheck shell=bash
# The container engine: docker, podman or buildah. Sourced after lib.sh, never run.
#
# ENGINE names one. MODELCELL_CONTAINER_STORE is a folder for podman's images in the place of its own,
# which is how the tests keep theirs apart.

# The folder for the images of the tests.
tests_store() { echo "$(cache_dir)/containers"; }

# set_engine NAME [STORE]: sets the array `engine` to the command.
set_engine() {
    engine=("$1")
    local store=${2:-}
    if [[ -n $store && $1 != docker ]]; then
        engine+=(--root "$store/storage" --runroot "$store/run")
    fi
}

# Whether the engine answers. A client of docker may be there without a server.
engine_answers() {
    command -v "${engine[0]}" >/dev/null && with_limit 30 "${engine[@]}" info >/dev/null 2>&1
}

# find_engine NAME...: sets `engine` to the first one that answers.
find_engine() {
    local name
    for name in "$@"; do
        set_engine "$name" "${MODELCELL_CONTAINER_STORE:-}"
        engine_answers && return
    done
    return 1
}

has_image() { "${engine[@]}" image inspect "$1" >/dev/null 2>&1; }

# find_image IMAGE: sets `engine` to the one that has it.
find_image() {
    local name store
    for name in ${ENGINE:-docker podman}; do
        for store in "${MODELCELL_CONTAINER_STORE:-}" "$(tests_store)"; do
            [[ -z $store || -d $store ]] || continue
            set_engine "$name" "$store"
            command -v "$name" >/dev/null && has_image "$1" && return
        done
    done
    return 1
}

# How many processes a container may have: as many as this one, but no more than the kernel numbers.
most_processes() {
    local most numbers
    most=$(ulimit -Hu)
    numbers=$(cat /proc/sys/kernel/pid_max)
    [[ $most != unlimited ]] && ((most < numbers)) || most=$numbers
    echo "$most:$most"
}

# Where version 2 of control groups is mounted beside version 1.
mixed_cgroups=/sys/fs/cgroup/unified

# without_mixed_cgroups SCRIPT ARGS...: the OCI runtime crun starts nothing where both versions have
# controllers. So version 2 is taken out of the view of this script and all that it starts. To be called
# first thing: the script begins anew.
without_mixed_cgroups() {
    if grep -qs . "$mixed_cgroups/cgroup.controllers" &&
        unshare --mount umount "$mixed_cgroups" 2>/dev/null; then
        # shellcheck disable=SC2016 # expanded by the inner shell
        exec unshare --mount sh -c 'umount "$0" && exec "$@"' "$mixed_cgroups" "$@"
    fi
}
