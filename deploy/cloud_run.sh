#!/bin/sh
# Puts Octoflow on Cloud Run and lets Cloud Scheduler call its tick each minute: PROJECT=... REGION=... sh deploy/cloud_run.sh
# Before: the image in Artifact Registry, a Cloud SQL instance `octoflow` (PostgreSQL), a bucket PROJECT-octoflow with the folders
# flows and templates, and two secrets in Secret Manager: octoflow-api-token and octoflow-database-uri.
set -eu
cd "$(dirname "$0")/.."
: "${PROJECT:?names the Google Cloud project}" "${REGION:?names its region, such as europe-west1}"
umask 077
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cloud() { gcloud --project "$PROJECT" --quiet "$@"; }

sed "s/PROJECT/$PROJECT/g; s/REGION/$REGION/g" deploy/cloud_run.yml > "$scratch/service.yml"
cloud run services replace "$scratch/service.yml" --region "$REGION"
url=$(cloud run services describe octoflow --region "$REGION" --format 'value(status.url)')

# The token goes to gcloud in a file, so that `ps` does not show it.
token=$(cloud secrets versions access latest --secret octoflow-api-token)
if cloud scheduler jobs describe octoflow-tick --location "$REGION" > /dev/null 2>&1; then verb=update headers=--update-headers; else verb=create headers=--headers; fi
printf '{"%s": {"Authorization": "Bearer %s"}}\n' "$headers" "$token" > "$scratch/flags.json"
cloud scheduler jobs "$verb" http octoflow-tick --location "$REGION" --schedule '* * * * *' --uri "$url/api/tick" --http-method POST \
    --attempt-deadline 45s --max-retry-attempts 2 --min-backoff 5s --flags-file "$scratch/flags.json"
