#!/usr/bin/env bash
#
# Pushes the two examples of Pushgateway's README, twice each: curl_client.sh URL
# What must come of it is in sums.txt. `some_metric` is a counter in one and has no type in the
# other, which is as it is there.

set -euo pipefail

push() {
    curl --silent --show-error --fail-with-body --max-time 10 --data-binary @- "$1"
}

for _ in 1 2; do
    echo 'some_metric 3.14' | push "$1/metrics/job/some_job"
    push "$1/metrics/job/some_job/instance/some_instance" <<'EOF'
# TYPE some_metric counter
some_metric{label="val1"} 42
# TYPE another_metric gauge
# HELP another_metric Just an example.
another_metric 2398.283
EOF
done
