#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every command of docs/proxy.md runs, in the order in which a reader meets them. arild and
# redis-server are shims here: a reader has more terminals, and waits until they are ready.
set -euo pipefail

build=$ARIL_BUILD_DIR
guide=$ARIL_SOURCE_DIR/docs/proxy.md
python=${ARIL_PYTHON:-python3}
for tool in redis-server redis-cli; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: there is no $tool"
        exit 77
    fi
done
if [[ ! -x $build/aril || ! -x $build/arild ]]; then
    echo "skipped: this build has no aril and arild"
    exit 77
fi

work=$(mktemp -d)
finish() {
    local file pid
    # Files of process ids: what the shims started. Ended servers left nothing behind.
    for file in "$work"/pids/* "$work"/run/redis.pid; do
        [[ -s $file ]] || continue
        pid=$(<"$file")
        kill -TERM "$pid" 2>/dev/null || continue
        # A zombie has ended: whoever it was left to may take a while to notice.
        while grep -qsv ') Z ' "/proc/$pid/stat"; do
            read -rt 0.02 <>"$work/pipe" || true
        done
    done
    rm -rf "$work"
}
mkdir "$work/bin" "$work/run" "$work/pids"
mkfifo "$work/pipe"
trap finish EXIT
ln -s "$build/aril" "$work/bin/aril"
unset ARIL_KEYRING ARIL_KEYSTORE ARIL_CACHE_STORE CREDENTIALS_DIRECTORY REDISCLI_AUTH NOTIFY_SOCKET

# arild in the background, once it said that it is ready; or what it said instead.
cat >"$work/bin/arild" <<END
#!$(command -v "$python")
import os, socket, subprocess, sys
if "--check-config" in sys.argv:
    os.execv("$build/arild", ["arild", *sys.argv[1:]])
said = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
path = f"$work/notify.{os.getpid()}"
said.bind(path)
said.settimeout(0.1)
with open("$work/arild.log", "ab") as log:
    child = subprocess.Popen(["$build/arild", *sys.argv[1:]], stdin=subprocess.DEVNULL,
                             stdout=log, stderr=log, env={**os.environ, "NOTIFY_SOCKET": path})
with open(f"$work/pids/{child.pid}", "w") as file:
    file.write(str(child.pid))
while child.poll() is None:
    try:
        if b"READY=1" in said.recv(4096).split(b"\n"):
            sys.exit(0)
    except TimeoutError:
        pass
sys.exit(child.returncode or 1)
END
# Its own --daemonize returns before it listens. The private server of arild is the real one.
redis_server=$(command -v redis-server)
cat >"$work/bin/redis-server" <<END
#!$(command -v bash)
set -euo pipefail
[[ " \$* " == *" --daemonize yes "* ]] || exec "$redis_server" "\$@"
"$redis_server" "\$@" >/dev/null
until [[ \$(redis-cli -s redis.sock ping 2>/dev/null) == PONG ]]; do
    read -rt 0.02 <>"$work/pipe" || true
done
END
chmod +x "$work/bin/arild" "$work/bin/redis-server"

# Ports of the guide may be somebody's; these are nobody's.
ports=$("$python" -c 'import socket
held = [socket.socket() for _ in range(3)]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))')
read -r first second third <<<"$ports"
awk '/^```$/ { inside = !inside; next } inside' "$guide" |
    sed "s/\b6379\b/$first/g; s/\b6390\b/$second/g; s/\b9121\b/$third/g" >"$work/commands"
count=$(grep -cE '^(aril|arild|redis-cli|redis-server) ' "$work/commands")
if ((count < 25)); then
    echo "FAILED: only $count commands were found in docs/proxy.md"
    exit 1
fi
cd "$work/run"
code=0
PATH=$work/bin:$PATH TMPDIR=$work bash -eux "$work/commands" >"$work/out" 2>"$work/err" \
    </dev/null || code=$?
if ((code != 0)); then
    tail -n 20 "$work/out" "$work/err" "$work/arild.log" 2>/dev/null || true
    echo "FAILED: exit code $code"
    exit 1
fi

# What the guide says of what it shows.
failed=0
says() { # LINE: the output has it as a whole line, or as a pattern
    grep -qxE -- "$1" "$work/out" || {
        echo "FAILED: nothing printed: $1"
        failed=1
    }
}
says hello
says 'a1:.*'
says '(hello)?greeting' # aril cache get writes no line end
says 'from the command'
says 'arild.conf: ok: 1 listeners, 2 tenants, 2 policies, 2 credentials'
says 'acme .* seals'
# redis-cli prints errors to standard output and ends with 0.
if grep -E '^(ERR|NOPERM|NOAUTH|WRONGPASS|AUTH failed|Could not connect)' "$work/out"; then
    echo "FAILED: a command of the guide was answered with an error"
    failed=1
fi
# Three times it was asked for by who may, once by another tenant, and once after it was swapped.
if grep -qE '^of (alice|bob)$' "$work/out" || (($(grep -c '^hello' "$work/out") != 3)); then
    echo "FAILED: a value came out that should not have, or one did not"
    failed=1
fi
# Nothing readable behind standalone: neither keys nor values.
if grep -raqE 'greeting|of alice' "$work/run/try/appendonlydir"; then
    echo "FAILED: the private server has plaintext"
    failed=1
fi
((failed == 0))
echo "$count commands ran"
