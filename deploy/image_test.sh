#!/bin/sh
# Builds the image and runs every sample flow inside it: as its own user, on a read-only root, without a network. `make image-test` calls it.
# Takes the first of docker, podman and buildah that works, or the one that ENGINE names; PYTHON_IMAGE names another base image.
# Ends with 77, and says why, where there is nothing to build with or from.
set -eu
cd "$(dirname "$0")/.."
base=${PYTHON_IMAGE:-docker.io/library/python:3.12-slim}
image=localhost/octoflow:image-test

skip() { echo "The image is not tested here: $*" >&2; exit 77; }

engine=
for candidate in ${ENGINE:-docker podman buildah}; do
    if timeout 20 "$candidate" info > /dev/null 2>&1; then engine=$candidate; break; fi
done
[ -n "$engine" ] || skip "${ENGINE:-neither docker nor podman nor buildah} works."

is_there() { "$engine" inspect "$base" > /dev/null 2>&1; }
is_there || timeout 120 "$engine" pull "$base" > /dev/null 2>&1 || skip "$engine cannot get the base image $base."

# The sample flows and what runs them, readable whatever the umask was.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -R deploy data Dockerfile "$scratch"
chmod -R a+rX "$scratch"

echo "Building the image from $base with $engine"
check="python /check/deploy/image_inside.py"
case $engine in
    buildah)
        buildah build --format docker --build-arg "PYTHON_IMAGE=$base" --tag "$image" .
        container=$(buildah from "$image")
        trap 'buildah rm "$container" > /dev/null; rm -rf "$scratch"' EXIT
        # buildah makes no root read-only; as another user nothing of it can be written all the same.
        buildah run --volume "$scratch:/check:ro" "$container" -- $check
        ;;
    *)
        format= && [ "$engine" = docker ] || format="--format docker"
        "$engine" build $format --build-arg "PYTHON_IMAGE=$base" --tag "$image" .
        "$engine" run --rm --network none --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
            --volume "$scratch:/check:ro" "$image" $check
        ;;
esac
if [ -z "${PYTHON_IMAGE:-}" ]; then
    size=$("$engine" inspect --format '{{.Size}}' "$image" 2> /dev/null || echo 0)
    [ "$size" -lt 250000000 ] || { echo "The image has $size bytes, more than 250 MB." >&2; exit 1; }
fi
echo "The image is in order."
