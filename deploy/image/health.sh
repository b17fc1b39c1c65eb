#!/bin/bash
# The image's health check: whether the server of this container serves. Exits with 0 or 1, and prints
# what it said. The port of the metrics tells it in plain text, whatever certificates and keys the
# others ask for. Bash alone speaks to it, in 3 ms of a CPU: a check is made every ten seconds.
address=${TWOPASS_METRICS_ADDRESS:-127.0.0.1:9090}
host=${address%:*} port=${address##*:}
case $host in
  '' | 0.0.0.0) host=127.0.0.1 ;;
  '[::]') host=::1 ;;
esac
host=${host#[} host=${host%]}

exec 3<> "/dev/tcp/$host/$port" || exit 1
printf 'GET /health HTTP/1.0\r\n\r\n' >&3
read -r -t 4 _ status said <&3 || { echo "$address: no answer within 4 seconds"; exit 1; }
echo "${status} ${said%$'\r'}"
[ "$status" = 200 ]
