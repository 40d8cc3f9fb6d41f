#!/usr/bin/env bash
# Has a real Prometheus scrape real runs, and read in one in virtual time, and asks it every query of
# the dashboard and of the rules that such a run concerns. Needs prometheus and promtool (Debian:
# apt-get install prometheus). About a minute.
#   reports/prometheus/check.sh [SCENARIO]     a load instead of scenarios/load/steady.yaml
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in prometheus promtool; do
  command -v "$tool" > /dev/null || { echo "check.sh: no $tool on this machine (Debian: apt-get install prometheus)" >&2; exit 1; }
done
load=${1:-scenarios/load/steady.yaml}
sim_port=${SIM_PORT:-29464}
port=${PROMETHEUS_PORT:-29090}
out=$(mktemp -d)
prometheus=
end() {
  if [ -n "$prometheus" ]; then
    kill "$prometheus" || true
    wait "$prometheus" || true
  fi
  rm -rf "$out"
}
trap end EXIT

go build -o "$out/" ./cmd/sim ./cmd/server
go test -c -o "$out/queries" ./reports
sed "s/127.0.0.1:9464/127.0.0.1:$sim_port/" reports/prometheus/prometheus.yml > "$out/prometheus.yml"
cp reports/prometheus/rules.yml "$out/"
promtool check config "$out/prometheus.yml"
promtool test rules reports/prometheus/rules_test.yml

lesson=reports/prometheus/lesson.yaml
"$out/sim" run --quiet --out "$out/lesson" --step 1s "$lesson"
promtool tsdb create-blocks-from openmetrics "$out/lesson/short-lesson.steps.openmetrics.txt" "$out/tsdb"
prometheus --config.file="$out/prometheus.yml" --storage.tsdb.path="$out/tsdb" --storage.tsdb.retention.time=100y \
  --web.listen-address="127.0.0.1:$port" --log.level=warn &
prometheus=$!
until (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> "$out/refused"; do
  kill -0 "$prometheus"
  sleep 0.1
done

# check WORLD: asks every query that concerns a run in it.
check() {
  (cd reports && BLUETRACE_PROMETHEUS="http://127.0.0.1:$port" BLUETRACE_WORLD=$1 BLUETRACE_BETWEEN=${2:-} \
    "$out/queries" -test.run '^TestPrometheusAnswers$' -test.v)
}

start=$(sed -nE 's/^bluetrace_phones\{.*\} [0-9.]+ (.*)$/\1/p' "$out/lesson/short-lesson.steps.openmetrics.txt" | head -n 1)
start=$(printf '%.0f' "$start")
check virtual "$start $((start + 60))"

"$out/sim" run --quiet --live --metrics "$sim_port" --linger 10s "$lesson"
check live

# What the load's figures are is not looked at here, only that they arrive: 99 and 111 will do.
code=0
"$out/sim" run --quiet --rate 100 --duration 15s --metrics "$sim_port" --linger 10s "$load" || code=$?
case $code in 0 | 99 | 111) ;; *) exit "$code" ;; esac
check load
