#!/usr/bin/env bash
# Has a real Prometheus scrape real runs, and asks it every query of the dashboard and of the rules.
# Needs prometheus and promtool (Debian: apt-get install prometheus). About 40 s.
#   reports/prometheus/check.sh [SCENARIO OF A LOAD...]
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in prometheus promtool; do
  command -v "$tool" > /dev/null || { echo "check.sh: no $tool on this machine (Debian: apt-get install prometheus)" >&2; exit 1; }
done
loads=("$@")
out=$(mktemp -d)
trap 'kill "$prometheus" 2> "$out/kill" || true; rm -rf "$out"' EXIT

go build -o "$out/" ./cmd/sim
sim_port=${SIM_PORT:-29464}
port=${PROMETHEUS_PORT:-29090}
sed "s/127.0.0.1:9464/127.0.0.1:$sim_port/" reports/prometheus/prometheus.yml > "$out/prometheus.yml"
cp reports/prometheus/rules.yml "$out/"
promtool check config "$out/prometheus.yml"
promtool test rules reports/prometheus/rules_test.yml
prometheus --config.file="$out/prometheus.yml" --storage.tsdb.path="$out/tsdb" \
  --web.listen-address="127.0.0.1:$port" --log.level=warn &
prometheus=$!
until (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> "$out/refused"; do
  kill -0 "$prometheus"
  sleep 0.1
done

# check WORLD SIM-ARGUMENTS...: a run, and then the queries that concern it.
check() {
  local world=$1
  shift
  "$out/sim" run --quiet --metrics "$sim_port" --linger 10s "$@"
  BLUETRACE_PROMETHEUS="http://127.0.0.1:$port" BLUETRACE_WORLD=$world \
    go test -count=1 -run '^TestPrometheusAnswers$' -v ./reports
}

check live --live reports/prometheus/lesson.yaml
for load in ${loads[@]+"${loads[@]}"}; do
  check load "$load"
done
