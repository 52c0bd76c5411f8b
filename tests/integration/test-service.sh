#!/bin/sh
# test-service.sh MESON BUILD: installs into a folder, boots a systemd that sees it as /usr/local (with-systemd), and checks there what
# the units promise. Exits with 77 where that is not possible, saying why.
set -u

here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" != --inside ]; then
    meson=$1 build=$2
    [ "$(id -u)" = 0 ] || { echo "test-service: needs root" >&2; exit 77; }
    DESTDIR=$(mktemp -d /var/cache/test-service.XXXXXX) # not below /tmp, which is private to what is booted
    trap 'rm -rf "$DESTDIR"' EXIT
    trap 'exit 143' INT TERM
    export DESTDIR
    "$meson" install -C "$build" --no-rebuild --quiet || exit 1
    [ -d "$DESTDIR/usr/local" ] || { echo "test-service: needs a build with the prefix /usr/local" >&2; exit 77; }
    "$here/with-systemd" --before "$here/service-setup.sh" "$here/test-service.sh" --inside
    exit
fi

failed=0
socket=/run/inferd/inferd.sock
interface=org.inferd.Inference1.Manager
scratch=$(mktemp -d)
chmod 755 "$scratch"

check() { # NAME COMMAND...
    name=$1
    shift
    if "$@" >"$scratch/out" 2>&1; then
        echo "ok: $name"
    else
        echo "FAILED: $name"
        sed 's/^/    /' "$scratch/out"
        systemctl status --no-pager -n 12 inferd.service 2>&1 | sed 's/^/    /'
        failed=1
    fi
}

active() { systemctl is-active --quiet "$1"; }
inactive() { ! active "$1"; }
property() { systemctl show --value -p "$1" inferd.service; }
request() { curl -sSf -m 60 --unix-socket "$socket" "http://localhost$1"; }
somebody() { runuser -u inferd-tester -- "$@"; }
# health says 503 while the model is being loaded
answers() { await request /health; }
# waits for a condition, a minute at most
await() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || return 1
        sleep 0.2
    done
}
stop() { systemctl stop inferd.service && inactive inferd.service; }

# ---------------------------------------------------------------------------------------------- activation

security() {
    systemd-analyze security --offline=yes --threshold=20 --no-pager /usr/local/lib/systemd/system/inferd.service | tail -1
    systemd-analyze security --offline=yes --threshold=20 --no-pager /usr/local/lib/systemd/system/inferd.service >/dev/null
}
verify() { # says nothing when all is well
    complaints=$(systemd-analyze verify /usr/local/lib/systemd/system/inferd.service /usr/local/lib/systemd/system/inferd.socket \
        2>&1 | grep inferd)
    [ -z "$complaints" ] || { echo "$complaints"; return 1; }
}
socket_activation() {
    systemctl start inferd.socket && inactive inferd.service && request /v1/models && await active inferd.service && answers
}
bus_activation() {
    stop && systemctl stop inferd.socket &&
        somebody busctl call org.inferd.Inference1 /org/inferd/Inference1 $interface ListModels &&
        await active inferd.service && active inferd.socket && answers
}
somebody_is_served() {
    somebody curl -sSf -m 60 --unix-socket "$socket" http://localhost/v1/models | grep -q '"tiny-r1"' &&
        answer=$(somebody infer --bus=system --temperature=0 "What is 17 + 25?" </dev/null) && echo "$answer" && [ "$answer" = 42 ]
}
says_once() {
    somebody rm -rf /home/inferd-tester/.local/state
    somebody infer "What is 1 + 1?" </dev/null 2>&1 >/dev/null | grep 'infer models --help' &&
        ! somebody infer "What is 1 + 1?" </dev/null 2>&1 >/dev/null | grep .
}
load_and_unload() {
    ln -s /usr/local/share/inferd/tiny-r1.gguf /var/lib/inferd/models/other.gguf
    infer load other && infer models | grep '^\*  other' && infer unload && ! infer "What is 1 + 1?" </dev/null &&
        infer load tiny-r1 && rm /var/lib/inferd/models/other.gguf && infer models | grep '^\*  tiny-r1'
}
name_is_protected() {
    somebody busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus RequestName su org.inferd.Inference1 0 \
        2>&1 | grep -i 'access denied\|not allowed'
}
models_are_protected() {
    # nobody is at a terminal to type a password
    somebody infer --bus=system unload </dev/null
    [ $? = 77 ]
}
models_can_be_entrusted() {
    runuser -u inferd-manager -- infer --bus=system load tiny-r1 </dev/null
}

# ---------------------------------------------------------------------------------------------- confinement

unprivileged() {
    status=/proc/$(property MainPID)/status
    cat "$status"
    id=$(id -u inferd)
    [ "$id" != 0 ] && grep -qP "^Uid:\t$id\t$id\t$id\t$id$" "$status" && grep -qP '^CapEff:\t0+$' "$status" &&
        grep -qP '^CapPrm:\t0+$' "$status" && grep -qP '^CapBnd:\t0+$' "$status" && grep -qP '^NoNewPrivs:\t1$' "$status" &&
        grep -qP '^Seccomp:\t2$' "$status"
}
in_its_world() { nsenter -t "$(property MainPID)" -m -n -- "$@"; }
sees_little() {
    # root, as which this runs, is stopped by the mounts alone
    ! in_its_world touch /etc/x && ! in_its_world touch /usr/x && ! in_its_world touch /var/lib/inferd/models/x &&
        in_its_world touch /var/lib/inferd/x && ! in_its_world ls /home/inferd-tester && ! in_its_world test -e /dev/kmsg &&
        [ "$(in_its_world cat /proc/net/dev | grep -c :)" = 1 ] # lo
}
log_is_discreet() {
    somebody infer --bus=system --system "Mumpitz-5417" "Quatsch-2231" </dev/null && journalctl --sync &&
        ! journalctl --no-pager -u inferd.service -o export | grep -a -e Mumpitz-5417 -e Quatsch-2231
}

# ---------------------------------------------------------------------------------------------- failure

survives_kill() {
    old=$(property MainPID)
    kill -9 "$old" && await pid_is_not "$old" && answers && [ "$(property NRestarts)" -ge 1 ]
}
pid_is_not() { now=$(property MainPID) && [ "$now" != 0 ] && [ "$now" != "$1" ]; }
survives_hang() {
    mkdir -p /run/systemd/system/inferd.service.d
    printf '[Service]\nWatchdogSec=2\nWatchdogSignal=SIGKILL\n' >/run/systemd/system/inferd.service.d/watchdog.conf
    systemctl daemon-reload && systemctl restart inferd.service || return 1
    old=$(property MainPID)
    sleep 5
    [ "$(property MainPID)" = "$old" ] || { echo "killed although it was alive"; return 1; }
    kill -STOP "$old" && await pid_is_not "$old" && answers
    result=$?
    journalctl --no-pager -u inferd.service | grep -i watchdog
    rm -r /run/systemd/system/inferd.service.d
    systemctl daemon-reload
    return $result
}

# ---------------------------------------------------------------------------------------------- configuration

configure() { printf "$1" >/usr/local/etc/inferd/inferd.conf; }
count_tokens_of_answer() {
    somebody infer --bus=system --json "Sort 5, 3, 9" </dev/null | sed -n 's/.*"completion-tokens": \([0-9]*\).*/\1/p'
}
reload() {
    pid=$(property MainPID)
    configure '[Defaults]\nmax-tokens=3\n'
    systemctl reload inferd.service || return 1
    await test "$(count_tokens_of_answer)" = 3 && [ "$(property MainPID)" = "$pid" ] && active inferd.service
}
reload_with_mistake() {
    pid=$(property MainPID)
    configure '[Defaults]\nmax-tokens=three\n'
    systemctl reload inferd.service
    sleep 1
    [ "$(count_tokens_of_answer)" = 3 ] && [ "$(property MainPID)" = "$pid" ] && journalctl --sync &&
        journalctl --no-pager -u inferd.service | grep -F 'inferd.conf:2: '
}
start_with_mistake() {
    stop && systemctl stop inferd.socket || return 1
    ! systemctl start inferd.service && journalctl --sync && journalctl --no-pager -u inferd.service | tail -8 | grep -F 'inferd.conf:2: ' &&
        [ "$(property NRestarts)" = 0 ] # trying again would not help
    result=$?
    rm /usr/local/etc/inferd/inferd.conf
    systemctl reset-failed inferd.service inferd.socket
    systemctl start inferd.socket && answers && return $result
}

# ---------------------------------------------------------------------------------------------- stop

# At this temperature every token is as likely as any other, so that answers are long. A fast machine has done with one in a fraction
# of a second all the same, so clients ask again and again.
ramble_over_bus() {
    somebody infer --bus=system --show-reasoning --temperature=100 --top-k=0 --top-p=1 --min-p=0 "Go on." </dev/null
}
ramble_over_socket() {
    somebody curl -sSN -m 60 --unix-socket "$socket" http://localhost/v1/chat/completions -d '{"stream": true, "temperature": 2,
        "top_p": 1, "logit_bias": {"0": -100, "1": -100}, "messages": [{"role": "user", "content": "Go on."}]}'
}
# repeats a command until the service is being stopped or the command fails; keeps what it said the last time, and its status
insist() { # FILE COMMAND...
    file=$1 code=0
    shift
    until [ -e "$scratch/stopping" ] || [ $code != 0 ]; do
        "$@" >"$file" 2>"$file.errors"
        code=$?
    done
    echo $code >"$file.code"
}
# whoever had heard the beginning of an answer heard the end or of the stop; a call in the last instant may find nobody there
are_told() {
    for i in 1 2 3 4 5 6 7 8; do
        case $(cat "$scratch/bus.$i.code") in
        0 | 75) ;;
        69) [ ! -s "$scratch/bus.$i" ] || return 1 ;;
        *) return 1 ;;
        esac
    done
}
has_begun() { [ -s "$scratch/bus.1" ] && [ -s "$scratch/bus.8" ] && [ -s "$scratch/socket.8" ]; }
stop_while_running() {
    configure '[Service]\nDrainTimeout=0s\n'
    systemctl restart inferd.service && answers || return 1
    clients=
    for i in 1 2 3 4 5 6 7 8; do
        insist "$scratch/bus.$i" ramble_over_bus &
        clients="$clients $!"
        insist "$scratch/socket.$i" ramble_over_socket &
        clients="$clients $!"
    done
    await has_begun
    begun=$?
    touch "$scratch/stopping"
    began=$(date +%s)
    systemctl stop inferd.socket inferd.service
    result=$(property Result)
    # shellcheck disable=SC2086 # a list of numbers is meant
    wait $clients
    took=$(($(date +%s) - began))
    stop # a client that asked too late may have started it again
    rm /usr/local/etc/inferd/inferd.conf
    systemctl start inferd.socket
    tail -qc 300 "$scratch"/socket.?
    echo
    cat "$scratch"/bus.?.code "$scratch"/socket.?.code "$scratch"/bus.?.errors "$scratch"/socket.?.errors
    [ "$begun" = 0 ] && [ "$took" -lt 20 ] && [ "$result" = success ] && grep -qx 75 "$scratch"/bus.?.code &&
        are_told && grep -q 'inferd is stopping' "$scratch"/bus.?.errors &&
        grep -q '"error"' "$scratch"/socket.?
}

# ---------------------------------------------------------------------------------------------- a user's own

as_user() {
    somebody env XDG_RUNTIME_DIR="/run/user/$uid" DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$uid/bus" "$@"
}
user_service() {
    uid=$(id -u inferd-tester)
    systemctl start "user@$uid.service" || return 1
    as_user systemctl --user start inferd.socket && ! as_user systemctl --user is-active inferd.service || return 1
    await as_user curl -sSf -m 60 --unix-socket "/run/user/$uid/inferd/inferd.sock" http://localhost/health &&
        await as_user systemctl --user is-active inferd.service || return 1
    as_user systemctl --user stop inferd.service inferd.socket
    # a first call on the session bus; the shared service is asked only if one's own does not run
    [ "$(as_user infer --bus=user --temperature=0 'What is 17 + 25?' </dev/null)" = 42 ] &&
        await as_user systemctl --user is-active inferd.service &&
        as_user infer status | grep 'session (this user' &&
        as_user infer unload </dev/null || return 1
    # the shared one was stopped a moment ago: a start that meets the end of the stop is answered with "try again"
    [ "$(somebody infer --bus=system --temperature=0 'What is 17 + 25?' </dev/null)" = 42 ] ||
        [ "$(somebody infer --bus=system --temperature=0 'What is 17 + 25?' </dev/null)" = 42 ]
}

systemctl daemon-reload
check "exposure is at most 2.0" security
check "systemd has no complaints about the units" verify
check "a first connection to the socket starts the service" socket_activation
check "a first call on the bus starts the service" bus_activation
check "an ordinary user is served" somebody_is_served
check "the built-in model is mentioned once" says_once
check "root may load another model" load_and_unload
check "nobody else may own the name" name_is_protected
check "an ordinary user may not unload the model" models_are_protected
check "a rule for polkit lets a user load a model" models_can_be_entrusted
check "the process has no privileges" unprivileged
check "the process can write nothing but its state" sees_little
check "the journal holds no prompt" log_is_discreet
check "the service comes back after kill -9" survives_kill
check "the service comes back when it hangs" survives_hang
check "reload takes a changed configuration" reload
check "reload keeps the old configuration when the new one has a mistake" reload_with_mistake
check "a mistake in the configuration stops the start" start_with_mistake
check "clients hear of a stop while they wait" stop_while_running
if [ -e /usr/lib/systemd/user/dbus.socket ]; then
    check "the same units serve one user" user_service
else
    echo "skipped: the same units serve one user (the package dbus-user-session is not installed)"
fi

rm -rf "$scratch"
exit $failed
