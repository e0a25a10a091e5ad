#!/bin/sh
# Says how to reach the service, then becomes it. `make serve` calls it.
set -eu
cd "$(dirname "$0")/.."

port=${API_PORT:-5000}
address=http://localhost:$port
if [ -n "${API_TOKEN:-}" ]; then
    token='$API_TOKEN'
    note='the one in API_TOKEN'
else
    token=default_token
    note='default_token (from this machine only; set API_TOKEN for others)'
fi
cat <<TEXT
Octoflow on $address over ${DATA_PATH:-data}/ (stop it with Ctrl-C)
Token: $note

Launch a flow:
  curl -X POST $address/api/jobs -H "Authorization: Bearer $token" -H "Content-Type: application/json" -d '{"path": "hello.yml", "data": {"name": "Ada"}}'
See the newest jobs:
  curl "$address/api/jobs?limit=5" -H "Authorization: Bearer $token"
See and try the whole API in a browser:
  $address/api/docs/

TEXT
exec .venv/bin/octoflow serve
